//! What a run records: writes with their outcomes, requests, events of watches, faults.

use std::time::{Duration, Instant};

use ferrule_proto::v1::EventType;

/// Time since the run began.
pub type Moment = Duration;

/// The run's clock.
#[derive(Clone, Copy, Debug)]
pub struct Clock(Instant);

impl Clock {
    /// Begins now.
    pub fn start() -> Clock {
        Clock(Instant::now())
    }

    /// The time since then.
    pub fn now(&self) -> Moment {
        self.0.elapsed()
    }
}

/// What a write asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// A new object.
    Create,
    /// Another value, for the revision that is known.
    Update,
    /// No object, for the revision that is known.
    Delete,
}

/// What came of a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Acknowledged, with its revision.
    Done(i64),
    /// Refused: it must not have happened.
    Refused(String),
    /// Nobody knows: it may have happened, or happen yet.
    Unknown(String),
}

/// One write of a ConfigMap. Nobody else writes its key, and its value is used once.
#[derive(Clone, Debug)]
pub struct Write {
    /// The object's name.
    pub key: String,
    /// What was asked for.
    pub wish: Wish,
    /// The value; that of the deleted object for a deletion.
    pub value: String,
    /// When it was sent.
    pub at: Moment,
    /// When the answer came, or waiting ended.
    pub ended: Moment,
    /// What came of it.
    pub outcome: Outcome,
}

/// One HTTP request to the Service under load.
#[derive(Clone, Debug)]
pub struct Request {
    /// The node that it went through.
    pub node: &'static str,
    /// From the node itself to the cluster IP, not from outside to the node port.
    pub inside: bool,
    /// When it was sent.
    pub at: Moment,
    /// When it was over.
    pub ended: Moment,
    /// Why it failed.
    pub error: Option<String>,
}

/// What the checks need of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Facts {
    /// Nothing but its name.
    #[default]
    Other,
    /// A ConfigMap under load: its value.
    Value(String),
    /// A pod.
    Pod(Box<Pod>),
    /// A ReplicaSet: how many pods it wants.
    ReplicaSet(u64),
    /// A Service: its address, and its node ports.
    Service(String, Vec<u64>),
    /// A Node: its pod networks.
    Node(Vec<String>),
    /// A Lease: who holds it, and how often it changed hands.
    Lease(String, u64),
}

/// What the checks need of a pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pod {
    /// `spec.nodeName`.
    pub node: String,
    /// The uid of its controller.
    pub owner: String,
    /// `status.phase`.
    pub phase: String,
    /// It has a deletionTimestamp.
    pub deleted: bool,
    /// How its only container ended: the code and the reason.
    pub ended: Option<(i64, String)>,
    /// How often its containers were restarted.
    pub restarts: u64,
}

impl Pod {
    /// Whether it counts for its ReplicaSet.
    pub fn is_active(&self) -> bool {
        !self.deleted && self.phase != "Succeeded" && self.phase != "Failed"
    }
}

/// One event of a watch.
#[derive(Clone, Debug)]
pub struct Event {
    /// Added, modified or deleted.
    pub kind: EventType,
    /// The revision.
    pub revision: i64,
    /// `namespace/name`.
    pub key: String,
    /// The object's uid.
    pub uid: String,
    /// A digest of the object's bytes.
    pub digest: u64,
    /// When it arrived.
    pub at: Moment,
    /// What it says.
    pub facts: Facts,
}

/// What a watcher saw without a gap: everything after `from` up to and including `to`.
#[derive(Clone, Debug, Default)]
pub struct Stretch {
    /// The state from which it began is of this revision.
    pub from: i64,
    /// The last revision of which it is known that everything was seen.
    pub to: i64,
    /// The objects of the state from which it began.
    pub present: Vec<Event>,
    /// In the order in which they came.
    pub events: Vec<Event>,
}

/// What one watcher recorded.
#[derive(Clone, Debug)]
pub struct Tape {
    /// Its name in messages.
    pub watcher: String,
    /// The plural of the resource.
    pub resource: &'static str,
    /// A new one begins after each 410.
    pub stretches: Vec<Stretch>,
    /// How often it had to connect again.
    pub resumed: u64,
}

/// A pod that ends by itself with a known code.
#[derive(Clone, Debug)]
pub struct Ending {
    /// Its name.
    pub name: String,
    /// The code that its container exits with.
    pub code: i64,
    /// When it was asked for.
    pub at: Moment,
}

/// A fault that was made, and what it did.
#[derive(Clone, Debug)]
pub struct Disturbance {
    /// The kind's name.
    pub kind: &'static str,
    /// The service that was hit.
    pub service: String,
    /// Whether it ends containers, so that their codes are not their own.
    pub ends_containers: bool,
    /// When it came.
    pub from: Moment,
    /// When it was undone.
    pub undone: Moment,
    /// When everything worked again.
    pub works: Option<Moment>,
    /// When what the load had asked for was done, too; none when it was not in time.
    pub well: Option<Moment>,
    /// What did not work when waiting ended; empty when all did.
    pub wrong: String,
    /// When the endpoints were the ready pods again.
    pub endpoints: Option<Moment>,
}
