//! The verbs, written once for every resource; REST and gRPC are two thin fronts over them.
//!
//! ```text
//!  get, list, watch ───────────────────────────> store (memory)
//!  create ─┐                                      ▲
//!  update ─┼─ decode ─ plan ─ transaction ────────┘
//!  patch  ─┤    a plan: current object -> admission, rules of the kind -> what to put or remove,
//!  delete ─┘    with its allocations and the leader's epoch; planned again after a conflict
//! ```

pub mod allocation;
mod apply;
pub mod bootstrap;
mod bound;
mod change;
mod components;
pub mod connect;
mod convert;
mod decode;
mod delete;
mod effects;
mod epoch;
pub mod errors;
mod eviction;
pub mod forms;
mod metadata;
pub mod options;
mod owners;
mod paging;
mod patch;
mod patch_faults;
mod pods;
pub mod presence;
mod read;
mod review;
mod scale;
pub mod service_range;
mod warnings;
mod watch;
mod write;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use ferrule_apimachinery::schema::Schema;
use ferrule_apimachinery::scheme::{Resource, Scheme};
use ferrule_apimachinery::selector::FieldSelector;
use ferrule_apimachinery::status::Status;
use ferrule_component_base::identity::Identity;
use tokio::time::Instant;

use crate::admission::TolerationSeconds;
use crate::auth::{self, Attributes};
use crate::resources;
use crate::store::{ReadAt, Snapshot, Store};
use warnings::Warnings;

pub use apply::Configuration;
pub use decode::{Body, Media, write_yaml};
pub use epoch::Epoch;
pub use forms::{Form, Include};
pub use options::{DeleteOptions, FieldValidation, ListOptions, WriteOptions};
pub use patch::{Patch, PatchBody};
pub use read::Page;
pub use watch::Watch;

/// The verbs over one store. Clones share it.
#[derive(Clone)]
pub struct Api(Arc<Inner>);

struct Inner {
    store: Store,
    scheme: Arc<Scheme>,
    schema: &'static Schema,
    ranges: allocation::Ranges,
    kubelets: connect::Kubelets,
    tolerations: TolerationSeconds,
    event_forms: forms::EventForms,
    converted: convert::Converted,
}

/// What an [`Api`] needs besides its store.
pub struct ApiOptions {
    /// The addresses and ports that Services are given.
    pub ranges: allocation::Ranges,
    /// How kubelets are reached, for logs and exec.
    pub kubelets: connect::Kubelets,
    /// What new pods tolerate.
    pub tolerations: TolerationSeconds,
}

/// One request, however it arrived.
pub struct Call {
    /// Who asks; absent for anonymous callers.
    pub identity: Option<Identity>,
    /// The server itself asks; nothing is refused to it.
    pub internal: bool,
    /// The epoch of an elected leader, compared in every transaction of the call.
    pub epoch: Option<Epoch>,
    /// When the caller must have its answer.
    pub deadline: Instant,
    /// Who owns the fields that the call sets, where its options do not say.
    pub agent: String,
    warnings: Mutex<Warnings>,
}

impl Call {
    /// A call of `identity`.
    pub fn new(identity: Option<Identity>, deadline: Instant) -> Call {
        Call {
            identity,
            internal: false,
            epoch: None,
            deadline,
            agent: String::new(),
            warnings: Mutex::default(),
        }
    }

    /// A call of the server itself.
    pub fn internal(deadline: Instant) -> Call {
        Call {
            internal: true,
            ..Call::new(None, deadline)
        }
    }

    /// When the store must have answered: a store that is away is said to be so, long before a
    /// patient caller gives up.
    fn store_deadline(&self) -> Instant {
        self.deadline.min(Instant::now() + STORE_TIMEOUT)
    }

    /// The caller's name.
    pub fn user(&self) -> &str {
        self.identity
            .as_ref()
            .map_or("", |identity| identity.user.as_str())
    }

    /// The caller's uid; empty when there is none.
    pub fn uid(&self) -> &str {
        self.identity
            .as_ref()
            .map_or("", |identity| identity.uid.as_str())
    }

    /// The caller's groups, with the one of everybody whose identity is known.
    pub fn groups(&self) -> Vec<String> {
        self.identity
            .as_ref()
            .map(review::groups_of)
            .unwrap_or_default()
    }

    /// Tells the caller something although the request goes on.
    pub fn warn(&self, warning: impl Into<String>) {
        let mut warnings = self
            .warnings
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        warnings.add(warning.into());
    }

    /// The warnings so far; the call has none afterwards.
    pub fn take_warnings(&self) -> Vec<String> {
        let mut warnings = self
            .warnings
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        std::mem::take(&mut *warnings).into_texts()
    }
}

/// How long the store may take over one step of a request.
const STORE_TIMEOUT: Duration = Duration::from_secs(10);

/// What a request is about.
#[derive(Clone)]
pub struct Target {
    /// The resource.
    pub resource: Arc<Resource>,
    /// `""`: all namespaces, or cluster-scoped.
    pub namespace: String,
    /// `""`: the collection.
    pub name: String,
    /// `""`: the object itself.
    pub subresource: String,
}

impl Target {
    /// Where the object is stored.
    pub fn key(&self) -> String {
        self.resource.key(&self.namespace, &self.name)
    }

    /// The same resource and namespace, another object of it.
    pub fn named(&self, name: &str) -> Target {
        Target {
            name: name.to_owned(),
            ..self.clone()
        }
    }
}

/// One object on its way out.
#[derive(Clone, Debug)]
pub struct Answer {
    /// JSON.
    pub bytes: Bytes,
    /// The revision of the object, or of its deletion; 0 when nothing is stored.
    pub revision: i64,
    /// The request made the object.
    pub created: bool,
    /// The bytes are an object of the target's kind; otherwise a Status or another kind.
    pub is_object: bool,
}

impl Answer {
    fn object(bytes: Bytes, revision: i64) -> Answer {
        Answer {
            bytes,
            revision,
            created: false,
            is_object: true,
        }
    }

    fn other(value: &serde_json::Value, revision: i64) -> Answer {
        Answer {
            bytes: value.to_string().into(),
            revision,
            created: false,
            is_object: false,
        }
    }
}

impl Api {
    /// The verbs over `store`.
    pub fn new(store: Store, scheme: Arc<Scheme>, options: ApiOptions) -> Api {
        let ApiOptions {
            ranges,
            kubelets,
            tolerations,
        } = options;
        Api(Arc::new(Inner {
            store,
            scheme,
            schema: Schema::builtin(),
            ranges,
            kubelets,
            tolerations,
            event_forms: forms::EventForms::default(),
            converted: convert::Converted::default(),
        }))
    }

    /// Which resources exist.
    pub fn scheme(&self) -> &Arc<Scheme> {
        &self.0.scheme
    }

    /// The store.
    pub fn store(&self) -> &Store {
        &self.0.store
    }

    /// Forms of watch events, shared by all watchers.
    pub fn event_forms(&self) -> &forms::EventForms {
        &self.0.event_forms
    }

    fn schema(&self) -> &'static Schema {
        self.0.schema
    }

    /// Refuses what the caller may not do.
    pub fn authorize(&self, call: &Call, attributes: &Attributes<'_>) -> Result<(), Status> {
        if call.internal {
            return Ok(());
        }
        auth::authorize(call.identity.as_ref(), attributes, self)
    }

    /// Warns of a kind that has a successor.
    pub fn warn_of_deprecation(&self, call: &Call, target: &Target) {
        if let Some(warning) = resources::rules_for(&target.resource).deprecation() {
            call.warn(warning);
        }
    }

    /// As [`Api::authorize`], for a verb whose selectors count.
    pub fn authorize_selected(
        &self,
        call: &Call,
        verb: &'static str,
        target: &Target,
        options: &ListOptions,
    ) -> Result<(), Status> {
        let fields = FieldSelector::parse(&options.field_selector).ok();
        let attributes = Attributes {
            fields: fields.as_ref(),
            ..Api::attributes(verb, target)
        };
        self.authorize(call, &attributes)
    }

    /// The attributes of a verb on a target.
    pub fn attributes<'a>(verb: &'static str, target: &'a Target) -> Attributes<'a> {
        // A namespace is an object of itself, as upstream reads its paths.
        let core = target.resource.group.is_empty();
        let own = core && target.resource.plural == "namespaces";
        Attributes {
            verb,
            group: &target.resource.group,
            resource: &target.resource.plural,
            subresource: &target.subresource,
            namespace: if own { &target.name } else { &target.namespace },
            name: &target.name,
            fields: None,
        }
    }

    async fn read(&self, resource: &Resource, at: ReadAt, call: &Call) -> Result<Snapshot, Status> {
        self.0
            .store
            .read(resource, at, call.store_deadline())
            .await
            .map_err(errors::of_store)
    }
}
