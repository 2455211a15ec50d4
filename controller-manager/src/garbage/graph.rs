//! Who owns whom: every object by its uid, and the dependents of each.
//!
//! An owner that some object names and that no informer has shown is a *virtual* node. It stands for
//! the question whether that owner exists, until an informer shows it or a live look misses it:
//!
//! ```text
//!  dependent seen ──> owner unknown ──> virtual ──(informer)──> seen ──(deleted)──> gone: look at dependents
//!                                          └──(live look: absent)──────────────────┘
//! ```

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use ferrule_apimachinery::header::{Header, OwnerReference};
use ferrule_apimachinery::scheme::{GroupVersionResource, api_version};
use ferrule_client::Key;

use super::plan::{FOREGROUND, ORPHAN};

/// An object's uid.
pub type Uid = Arc<str>;

/// A kind as references name it: `apps/v1` and `ReplicaSet`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Kind {
    /// The group and version.
    pub api_version: Arc<str>,
    /// The kind.
    pub kind: Arc<str>,
}

impl Kind {
    /// A kind.
    pub fn new(api_version: &str, kind: &str) -> Kind {
        Kind {
            api_version: api_version.into(),
            kind: kind.into(),
        }
    }
}

/// A resource that is followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The resource.
    pub gvr: GroupVersionResource,
    /// What references call it.
    pub kind: Kind,
}

impl Source {
    /// A resource whose objects are of this kind.
    pub fn new(gvr: GroupVersionResource, kind: &str) -> Source {
        let kind = Kind::new(&api_version(&gvr.group, &gvr.version), kind);
        Source { gvr, kind }
    }
}

/// Where an owner should be, as a reference says.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Coordinates {
    /// Its kind.
    pub kind: Kind,
    /// Its name, and the namespace of who refers to it.
    pub key: Key,
    /// Its uid.
    pub uid: Uid,
}

/// As upstream's events write it.
impl fmt::Display for Coordinates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "[{}/{}, namespace: {}, name: {}, uid: {}]",
            self.kind.api_version, self.kind.kind, self.key.namespace, self.key.name, self.uid
        )
    }
}

/// An object's reference to one owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The owner's kind.
    pub kind: Kind,
    /// The owner's name.
    pub name: Arc<str>,
    /// The owner's uid.
    pub uid: Uid,
    /// Whether the owner's foreground deletion waits for the object.
    pub blocks: bool,
}

impl Owner {
    fn coordinates(&self, namespace: &Arc<str>) -> Coordinates {
        Coordinates {
            kind: self.kind.clone(),
            key: Key::new(namespace.clone(), self.name.clone()),
            uid: self.uid.clone(),
        }
    }
}

/// An object, as far as ownership goes.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The resource that it was seen in; `None` while nobody has seen it.
    pub source: Option<Arc<Source>>,
    /// Its kind, or what a dependent calls it.
    pub kind: Kind,
    /// Its name; of a virtual node with the namespace of a dependent.
    pub key: Key,
    /// Its owners.
    pub owners: Vec<Owner>,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// Whether it is being deleted and waits for its dependents.
    pub waits: bool,
    /// Whether it is being deleted and leaves its dependents behind.
    pub orphans: bool,
}

/// How a reference fits to the object with its uid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fit {
    Right,
    OtherNamespace,
    OtherObject,
}

impl Entry {
    fn fit(&self, owner: &Owner, namespace: &str) -> Fit {
        if !self.key.namespace.is_empty() && &*self.key.namespace != namespace {
            Fit::OtherNamespace
        } else if self.kind != owner.kind || self.key.name != owner.name {
            Fit::OtherObject
        } else {
            Fit::Right
        }
    }

    /// Whether this is what an owner reference in a namespace means.
    pub fn is_meant(&self, owner: &Owner, namespace: &str) -> bool {
        self.source.is_some() && self.fit(owner, namespace) == Fit::Right
    }
}

/// What follows from a change.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Follows {
    /// The uids that must be looked at.
    pub look: Vec<Uid>,
    /// Objects whose owner lives in another namespace, with what they call it.
    pub other_namespace: Vec<(Uid, Coordinates)>,
}

/// The objects and their owners.
#[derive(Default)]
pub struct Graph {
    entries: HashMap<Uid, Entry>,
    dependents: HashMap<Uid, HashSet<Uid>>,
    kinds: HashSet<Kind>,
}

impl Graph {
    /// Takes in an object's present state.
    pub fn observe(&mut self, source: &Arc<Source>, header: &Header) -> Follows {
        let uid: Uid = Arc::from(&*header.uid);
        let deleting = header.deletion_timestamp.is_some();
        let has = |name: &str| deleting && header.finalizers.iter().any(|own| &**own == name);
        let owners: Vec<Owner> = header
            .owner_references
            .iter()
            .map(|owner| self.owner(owner))
            .collect();
        let entry = Entry {
            source: Some(source.clone()),
            kind: source.kind.clone(),
            key: Key::of(header),
            deleting,
            waits: has(FOREGROUND),
            orphans: has(ORPHAN),
            owners,
        };
        let before = self.entries.insert(uid.clone(), entry.clone());
        let mut follows = Follows::default();
        let was_virtual = before
            .as_ref()
            .is_some_and(|before| before.source.is_none());
        if was_virtual {
            self.check_dependents(&uid, &entry, &mut follows);
        }
        let before = before.map(|before| before.owners).unwrap_or_default();
        self.link(&uid, &entry, &before, &mut follows);
        let owner_waits = |owner: &Owner| {
            let owner = self.entries.get(&owner.uid);
            owner.is_some_and(|owner| owner.waits)
        };
        if entry.waits || entry.orphans || (!deleting && entry.owners.iter().any(owner_waits)) {
            follows.look.push(uid);
        }
        follows
    }

    fn owner(&mut self, reference: &OwnerReference) -> Owner {
        let kind = Kind::new(&reference.api_version, &reference.kind);
        // References to one kind share its name.
        let kind = match self.kinds.get(&kind) {
            Some(known) => known.clone(),
            None => {
                self.kinds.insert(kind.clone());
                kind
            }
        };
        Owner {
            kind,
            name: Arc::from(&*reference.name),
            uid: Arc::from(&*reference.uid),
            blocks: reference.block_owner_deletion == Some(true),
        }
    }

    /// Brings the sets of dependents in step with an object's owners.
    fn link(&mut self, uid: &Uid, entry: &Entry, before: &[Owner], follows: &mut Follows) {
        for gone in before {
            let now = entry.owners.iter().find(|owner| owner.uid == gone.uid);
            if now.is_none() {
                forget(&mut self.dependents, &gone.uid, uid);
            }
            // An owner may wait for an object that no longer blocks it.
            if gone.blocks && now.is_none_or(|owner| !owner.blocks) {
                follows.look.push(gone.uid.clone());
            }
        }
        let mut doubtful = false;
        for owner in &entry.owners {
            if before.contains(owner) {
                continue;
            }
            self.dependents
                .entry(owner.uid.clone())
                .or_default()
                .insert(uid.clone());
            let Some(present) = self.entries.get(&owner.uid) else {
                self.insert_virtual(owner, &entry.key.namespace);
                follows.look.push(owner.uid.clone());
                continue;
            };
            if present.source.is_none() {
                continue;
            }
            let fit = present.fit(owner, &entry.key.namespace);
            doubtful |= fit != Fit::Right;
            if fit == Fit::OtherNamespace {
                let coordinates = owner.coordinates(&entry.key.namespace);
                follows.other_namespace.push((uid.clone(), coordinates));
            }
        }
        if doubtful {
            follows.look.push(uid.clone());
        }
    }

    fn insert_virtual(&mut self, owner: &Owner, namespace: &Arc<str>) {
        let entry = Entry {
            source: None,
            kind: owner.kind.clone(),
            key: Key::new(namespace.clone(), owner.name.clone()),
            owners: Vec::new(),
            deleting: false,
            waits: false,
            orphans: false,
        };
        self.entries.insert(owner.uid.clone(), entry);
    }

    /// A virtual node turned out to be this object: dependents that meant another are looked at.
    fn check_dependents(&self, uid: &Uid, entry: &Entry, follows: &mut Follows) {
        for dependent in self.dependents(uid) {
            let Some((owner, namespace)) = self.reference(&dependent, uid) else {
                continue;
            };
            match entry.fit(owner, &namespace) {
                Fit::Right => continue,
                Fit::OtherNamespace => {
                    let coordinates = owner.coordinates(&namespace);
                    follows
                        .other_namespace
                        .push((dependent.clone(), coordinates));
                }
                Fit::OtherObject => {}
            }
            follows.look.push(dependent);
        }
    }

    /// What a dependent says of an owner, and the dependent's namespace.
    fn reference(&self, dependent: &Uid, owner: &str) -> Option<(&Owner, Arc<str>)> {
        let entry = self.entries.get(dependent)?;
        let found = entry.owners.iter().find(|own| &*own.uid == owner)?;
        Some((found, entry.key.namespace.clone()))
    }

    /// Takes an object out; answers the uids that must be looked at: its dependents, and owners
    /// that waited for it.
    pub fn remove(&mut self, uid: &str) -> Vec<Uid> {
        let Some(entry) = self.entries.remove(uid) else {
            return Vec::new();
        };
        for owner in &entry.owners {
            forget(&mut self.dependents, &owner.uid, uid);
        }
        let waiting = entry.owners.iter().filter(|owner| {
            let owner = self.entries.get(&owner.uid);
            owner.is_some_and(|owner| owner.waits)
        });
        let waiting: Vec<Uid> = waiting.map(|owner| owner.uid.clone()).collect();
        waiting.into_iter().chain(self.dependents(uid)).collect()
    }

    /// What a virtual node stands for; `None` when it is none (any more).
    pub fn virtual_node(&self, uid: &str) -> Option<Coordinates> {
        let (uid, entry) = self.entries.get_key_value(uid)?;
        entry.source.is_none().then(|| Coordinates {
            kind: entry.kind.clone(),
            key: entry.key.clone(),
            uid: uid.clone(),
        })
    }

    /// A live look missed the object of a virtual node. When dependents disagree about what it
    /// is, the node stands for what the next one says; otherwise it goes. Answers the uids that
    /// must be looked at.
    pub fn missed(&mut self, missed: &Coordinates) -> Vec<Uid> {
        if self.virtual_node(&missed.uid).as_ref() != Some(missed) {
            return Vec::new();
        }
        let (mut look, mut others) = (Vec::new(), Vec::new());
        for dependent in self.dependents(&missed.uid) {
            match self.reference(&dependent, &missed.uid) {
                Some((owner, namespace)) if owner.coordinates(&namespace) != *missed => {
                    others.push((owner.clone(), namespace));
                }
                _ => look.push(dependent),
            }
        }
        self.entries.remove(&missed.uid);
        let place = |(owner, namespace): &(Owner, Arc<str>)| {
            (
                namespace.clone(),
                owner.name.clone(),
                owner.kind.kind.clone(),
                owner.kind.api_version.clone(),
            )
        };
        others.sort_by_key(place);
        let last = (
            missed.key.namespace.clone(),
            missed.key.name.clone(),
            missed.kind.kind.clone(),
            missed.kind.api_version.clone(),
        );
        let next = others.iter().find(|other| place(other) > last);
        if let Some((owner, namespace)) = next.or(others.first()).cloned() {
            self.insert_virtual(&owner, &namespace);
            look.push(missed.uid.clone());
        }
        look
    }

    /// One object.
    pub fn get(&self, uid: &str) -> Option<&Entry> {
        self.entries.get(uid)
    }

    /// The objects that name `uid` as an owner.
    pub fn dependents(&self, uid: &str) -> Vec<Uid> {
        let set = self.dependents.get(uid);
        set.into_iter().flatten().cloned().collect()
    }

    /// The objects that block the foreground deletion of `uid`.
    pub fn blocking(&self, uid: &str) -> Vec<Uid> {
        let mut blocking = self.dependents(uid);
        blocking.retain(|dependent| {
            self.reference(dependent, uid)
                .is_some_and(|(owner, _)| owner.blocks)
        });
        blocking
    }

    /// Whether one of the dependents of `uid` waits for its own dependents.
    pub fn dependent_waits(&self, uid: &str) -> bool {
        let dependents = self.dependents(uid);
        let mut entries = dependents.iter().filter_map(|own| self.entries.get(own));
        entries.any(|entry| entry.waits)
    }

    /// Whether nothing needs to be done for an object: it goes already and waits for nobody, or
    /// every owner stands.
    pub fn is_settled(&self, entry: &Entry) -> bool {
        if entry.deleting {
            return !entry.waits && !entry.orphans;
        }
        entry.owners.iter().all(|own| {
            let owner = self.entries.get(&own.uid);
            owner.is_some_and(|owner| owner.is_meant(own, &entry.key.namespace) && !owner.waits)
        })
    }
}

fn forget(dependents: &mut HashMap<Uid, HashSet<Uid>>, owner: &str, uid: &str) {
    if let Some(set) = dependents.get_mut(owner) {
        set.remove(uid);
        if set.is_empty() {
            dependents.remove(owner);
        }
    }
}
