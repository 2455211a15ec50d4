//! Rules of CSIDrivers.

use std::collections::HashSet;

use ferrule_apimachinery::field::FieldError;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::resources::meta::NameRule;
use crate::resources::problems::{Path, Problems};
use crate::resources::table::{self, Column, Row, or_none};
use crate::resources::tree::{Tree, child, fill, set};
use crate::resources::{Context, Rules, Strategy, meta};

/// Rules of CSIDrivers.
pub struct CsiDriver;

const GROUP_POLICIES: [&str; 3] = ["File", "None", "ReadWriteOnceWithFSType"];
const MODES: [&str; 2] = ["Persistent", "Ephemeral"];
const SHORTEST_TOKEN: i64 = 600;
const LONGEST_TOKEN: i64 = 1 << 32;
const SHORTEST_PERIOD: i64 = 10;

const fn truth(name: &'static str, description: &'static str) -> Column {
    Column {
        kind: "boolean",
        ..Column::text(name, description)
    }
}

const COLUMNS: &[Column] = &[
    Column::NAME,
    truth("AttachRequired", "Whether volumes are attached to nodes."),
    truth("PodInfoOnMount", "Whether the driver is told of the pod."),
    truth(
        "StorageCapacity",
        "Whether the driver says how much is left.",
    ),
    Column::text(
        "TokenRequests",
        "Audiences of the tokens that the driver is given.",
    ),
    truth(
        "RequiresRepublish",
        "Whether volumes are mounted again and again.",
    ),
    Column::text("Modes", "Kinds of volumes."),
    Column::AGE,
];

impl Rules for CsiDriver {
    fn default(&self, object: &mut Value) {
        let Some(spec) = child(object, "spec") else {
            return;
        };
        fill(spec, "attachRequired", true);
        for name in [
            "podInfoOnMount",
            "storageCapacity",
            "requiresRepublish",
            "seLinuxMount",
        ] {
            fill(spec, name, false);
        }
        fill(spec, "fsGroupPolicy", "ReadWriteOnceWithFSType");
        if spec.items("volumeLifecycleModes").is_empty() {
            set(spec, "volumeLifecycleModes", json!(["Persistent"]));
        }
    }

    fn strategy(&self) -> Strategy {
        Strategy::PLAIN.cluster_wide().conditional()
    }

    fn validate_create(&self, new: &Value, _context: &Context<'_>) -> Vec<FieldError> {
        let mut out = meta::validate_create(new, false, NameRule::Subdomain);
        validate_spec(&mut out, new.at("spec"));
        out.into_errors()
    }

    fn prepare_update(&self, new: &mut Value, old: &Value, _context: &Context<'_>) {
        Strategy::GENERATION.keep(new, old);
    }

    fn validate_update(&self, new: &Value, old: &Value, _context: &Context<'_>) -> Vec<FieldError> {
        let mut out = meta::validate_update(new, old);
        validate_spec(&mut out, new.at("spec"));
        let path = Path::new("spec");
        for (name, shown) in [
            // Upstream's path.
            ("attachRequired", "attachedRequired"),
            ("volumeLifecycleModes", "volumeLifecycleModes"),
        ] {
            let (after, before) = (new.at("spec").at(name), old.at("spec").at(name));
            meta::validate_immutable(&mut out, &path.child(shown), after, before);
        }
        out.into_errors()
    }

    fn warnings(&self, new: &Value, old: Option<&Value>) -> Vec<String> {
        let spec = new.at("spec");
        let tokens = !spec.items("tokenRequests").is_empty();
        if old.is_none() && tokens && !spec.has("serviceAccountTokenInSecrets") {
            return vec![
                "spec.serviceAccountTokenInSecrets is unset; if supported by this CSI driver, set to true to prevent \
                 possible logging of tokens in volume attributes"
                    .to_owned(),
            ];
        }
        Vec::new()
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn row(&self, object: &Value, now: Timestamp) -> Row {
        let spec = object.at("spec");
        let requests = spec.items("tokenRequests").iter();
        let audiences: Vec<&str> = requests.map(|request| request.text("audience")).collect();
        let tokens = match audiences.is_empty() {
            true => "<unset>".to_owned(),
            false => audiences.join(","),
        };
        let modes = spec.items("volumeLifecycleModes").iter();
        let modes: Vec<&str> = modes.filter_map(Value::as_str).collect();
        vec![
            table::name(object),
            spec.opt_flag("attachRequired").unwrap_or(true).into(),
            spec.flag("podInfoOnMount").into(),
            spec.flag("storageCapacity").into(),
            tokens.into(),
            spec.flag("requiresRepublish").into(),
            or_none(&modes.join(",")).into(),
            table::age(object, now),
        ]
        .into()
    }
}

fn validate_spec(out: &mut Problems, spec: &Value) {
    let path = Path::new("spec");
    if let Some(policy) = spec.opt_text("fsGroupPolicy")
        && !GROUP_POLICIES.contains(&policy)
    {
        out.unsupported(&path.child("fsGroupPolicy"), policy, &GROUP_POLICIES);
    }
    validate_tokens(
        out,
        &path.child("tokenRequests"),
        spec.items("tokenRequests"),
    );
    for mode in spec.items("volumeLifecycleModes") {
        let mode = mode.as_str().unwrap_or_default();
        if !MODES.contains(&mode) {
            out.unsupported(&path.child("volumeLifecycleModes"), mode, &MODES);
        }
    }
    let name = "nodeAllocatableUpdatePeriodSeconds";
    if let Some(seconds) = spec.opt_int(name)
        && seconds < SHORTEST_PERIOD
    {
        let detail = "must be greater than or equal to 10 seconds";
        out.invalid(&path.child(name), seconds, detail);
    }
    let name = "serviceAccountTokenInSecrets";
    if let Some(given) = spec.opt_flag(name)
        && spec.items("tokenRequests").is_empty()
    {
        let detail = "serviceAccountTokenInSecrets is set but no tokenRequests are specified";
        out.invalid(&path.child(name), given, detail);
    }
}

fn validate_tokens(out: &mut Problems, path: &Path, requests: &[Value]) {
    let mut audiences = HashSet::new();
    for (i, request) in requests.iter().enumerate() {
        let (at, audience) = (path.index(i), request.text("audience"));
        if !audiences.insert(audience) {
            out.duplicate(&at.child("audience"), audience);
            continue;
        }
        let at = at.child("expirationSeconds");
        let Some(seconds) = request.opt_int("expirationSeconds") else {
            continue;
        };
        if seconds < SHORTEST_TOKEN {
            let detail = "may not specify a duration less than 10 minutes";
            out.invalid(&at, seconds, detail);
        }
        if seconds > LONGEST_TOKEN {
            let detail = "may not specify a duration larger than 2^32 seconds";
            out.invalid(&at, seconds, detail);
        }
    }
}
