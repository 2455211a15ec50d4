//! The shell: one loop that follows the cluster, decides, and sends what was decided.
//!
//! Decisions are made one after the other on what is known, with the pods decided on before
//! counted as if they were bound (assumed). Bindings and other writes go on beside the loop; when
//! a binding fails, the pod is taken back.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::Arc;

use ferrule_apimachinery::status::{Reason, Status};
use ferrule_client::{Change, Client, Key, Reader};
use ferrule_component_base::health::Health;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::cache::Cache;
use crate::config::Configuration;
use crate::counters::Counters;
use crate::diagnosis::Diagnosis;
use crate::events::Event;
use crate::explain::{self, Question};
use crate::informers::{Informers, Seen};
use crate::node::NodeObject;
use crate::pod::{Known, Pod};
use crate::preemption::{Preemption, preempt};
use crate::profile::Profile;
use crate::queue::SchedulingQueue;
use crate::schedule::{Decision, Turn, schedule};
use crate::writes::{Nomination, Writer};

/// Changes of the cluster taken at once before the next decision.
const CHANGES: usize = 1024;

enum Message {
    Seen(Seen),
    /// A binding has ended.
    Bound {
        key: Key,
        uid: Box<str>,
        result: Result<(), Status>,
    },
    /// Pods were told to leave for this one, or could not be.
    Evicted {
        key: Key,
        result: Result<(), Status>,
    },
}

impl From<Seen> for Message {
    fn from(seen: Seen) -> Message {
        Message::Seen(seen)
    }
}

struct Scheduler {
    profiles: Vec<Profile>,
    writer: Writer,
    pods: Reader<Known>,
    cache: Cache,
    queue: SchedulingQueue,
    /// Pods for which others are just told to leave: they are not tried before that is done.
    /// True where something happened meanwhile that would have woken them.
    preempting: HashMap<Key, Cell<bool>>,
    counters: Counters,
    start: usize,
    outbox: mpsc::UnboundedSender<Message>,
}

/// What the loop works with.
pub struct Parts<'a> {
    /// The profiles, and how long refused pods wait.
    pub configuration: Configuration,
    /// What is followed.
    pub informers: &'a Informers,
    /// Where it is told that the caches are complete.
    pub health: &'a Health,
    /// What is counted.
    pub counters: Counters,
    /// Why does this pod wait?
    pub questions: mpsc::Receiver<Question>,
}

/// Schedules the pods of all profiles, until `shutdown`.
pub async fn run(client: Client, parts: Parts<'_>, shutdown: CancellationToken) {
    let Parts {
        configuration,
        informers,
        health,
        counters,
        mut questions,
    } = parts;
    tokio::select! {
        () = shutdown.cancelled() => return,
        () = informers.wait_synced() => {}
    }
    health.set("informers", Ok(()));
    let (outbox, mut inbox) = mpsc::unbounded_channel();
    informers.send_to(&outbox);
    let names = configuration.profiles.iter();
    let writer = Writer::new(client, names.map(|profile| &*profile.scheduler_name));
    let mut scheduler = Scheduler {
        profiles: configuration.profiles,
        writer,
        pods: informers.pods.clone(),
        cache: Cache::default(),
        queue: SchedulingQueue::new(configuration.first_backoff, configuration.longest_backoff),
        preempting: HashMap::new(),
        counters,
        start: 0,
        outbox,
    };
    let mut messages = Vec::with_capacity(CHANGES);
    loop {
        // Everything that is known already comes before the next decision.
        while let Ok(message) = inbox.try_recv() {
            scheduler.take(message);
        }
        while let Ok((key, answer)) = questions.try_recv() {
            drop(answer.send(scheduler.explain(&key)));
        }
        let now = Instant::now();
        let due = scheduler.queue.ripen(now);
        if let Some((key, pod)) = scheduler.queue.pop() {
            scheduler.decide(key, &pod, now);
            tokio::task::yield_now().await;
            if !shutdown.is_cancelled() {
                continue;
            }
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            _ = inbox.recv_many(&mut messages, CHANGES) => {
                messages.drain(..).for_each(|message| scheduler.take(message));
            }
            Some((key, answer)) = questions.recv() => drop(answer.send(scheduler.explain(&key))),
            () = sleep_until(due) => {}
        }
    }
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

impl Scheduler {
    fn take(&mut self, message: Message) {
        match message {
            Message::Seen(Seen::Node(change)) => self.node_changed(&change),
            Message::Seen(Seen::Pod(change)) => self.pod_changed(&change),
            Message::Seen(Seen::Namespace(key, labels)) => {
                self.cache.put_namespace(&key.name, labels);
            }
            Message::Seen(Seen::Service(key, service)) => self.cache.put_service(&key, service),
            Message::Seen(Seen::ReplicaSet(key, set)) => self.cache.put_replica_set(&key, set),
            Message::Seen(Seen::Budget(key, budget)) => self.cache.put_budget(&key, budget),
            Message::Bound { key, uid, result } => self.bound(&key, &uid, result),
            Message::Evicted { key, result } => {
                let woken = self.preempting.remove(&key).is_some_and(Cell::into_inner);
                if let Err(status) = &result {
                    tracing::warn!(pod = %key, error = %status, "no room could be made");
                }
                if woken || result.is_err() {
                    self.queue.hurry(&key, Instant::now());
                }
            }
        }
    }

    fn node_changed(&mut self, change: &Change<NodeObject>) {
        let name = &*change.object().header.name;
        let gone = matches!(change, Change::Deleted(_));
        let object = (!gone).then(|| change.object().value.clone());
        let old = self.cache.put_node(name, object);
        let Some(node) = self.cache.node(name) else {
            return self.wake(Event::NodeRemoved);
        };
        // An event must not borrow what `wake` reads beside it.
        let node = node.clone();
        match old {
            None => self.wake(Event::NodeAdded(&node)),
            Some(old) if node.object.as_ref() != Some(&old) => {
                self.wake(Event::NodeChanged {
                    old: &old,
                    new: &node,
                });
            }
            Some(_) => {}
        }
    }

    fn pod_changed(&mut self, change: &Change<Known>) {
        let object = change.object();
        let (key, pod) = (object.key(), object.value.0.clone());
        if matches!(change, Change::Deleted(_)) || pod.finished {
            self.queue.remove(&key);
            self.cache.renounce(&key);
            if let Some(gone) = self.cache.remove_pod(&key) {
                self.wake(Event::PodRemoved(&gone));
            }
            return;
        }
        if !pod.node_name.is_empty() {
            self.queue.remove(&key);
            let node = pod.node_name.clone();
            let old = self.cache.pod(&key).cloned();
            self.cache.put_pod(key, pod.clone(), &node);
            match old.filter(|old| old.uid == pod.uid) {
                // One that was assumed woke others when it was decided on.
                Some(old) => self.wake(Event::PodChanged {
                    old: &old,
                    new: &pod,
                }),
                None => self.wake(Event::PodAdded(&pod)),
            }
            return;
        }
        let Some(profile) = self.profile(&pod) else {
            return self.queue.remove(&key);
        };
        let gated = self.profiles[profile].gate(&pod).is_some();
        match self.cache.pod(&key) {
            // An assumed pod stays where it is until its binding has ended.
            Some(assumed) if assumed.uid == pod.uid => return,
            Some(_) => drop(self.cache.remove_pod(&key)),
            None => {}
        }
        if pod.deleting {
            self.cache.renounce(&key);
            return self.queue.remove(&key);
        }
        if pod.nominated.is_empty() {
            self.cache.renounce(&key);
        } else {
            self.cache.nominate(key.clone(), pod.clone());
        }
        self.queue.put(key, pod, gated);
    }

    fn profile(&self, pod: &Pod) -> Option<usize> {
        let mut profiles = self.profiles.iter();
        profiles.position(|profile| *profile.scheduler_name == *pod.scheduler_name)
    }

    /// Tries pods again whose refusal the event may end, as the plugins that refused them say.
    fn wake(&mut self, event: Event) {
        let snapshot = self.cache.snapshot();
        let (profiles, preempting) = (&self.profiles, &self.preempting);
        self.queue.wake(Instant::now(), |key, pod, plugins| {
            let of = |profile: &&Profile| *profile.scheduler_name == *pod.scheduler_name;
            let Some(profile) = profiles.iter().find(of) else {
                return false;
            };
            // Nobody refused it where there was no node.
            let mut filters = profile.filters();
            let wakes = plugins.is_empty() && matches!(event, Event::NodeAdded(_))
                || filters.any(|plugin| {
                    plugins.contains(&plugin.name()) && plugin.wakes(pod, &event, snapshot)
                });
            match preempting.get(key) {
                Some(woken) => {
                    woken.set(woken.get() || wakes);
                    false
                }
                None => wakes,
            }
        });
    }

    fn decide(&mut self, key: Key, pod: &Arc<Pod>, now: Instant) {
        let Some(profile) = self.profile(pod) else {
            return self.queue.remove(&key);
        };
        let profile = &self.profiles[profile];
        let snapshot = self.cache.prepare(profile, pod);
        let turn = Turn {
            start: self.start,
            random: rand::random(),
        };
        match schedule(profile, snapshot, pod, turn) {
            Decision::Place { node, judged } => {
                let nodes = snapshot.order().len().max(1);
                self.start = (self.start + judged) % nodes;
                let node = snapshot.node(node).name.clone();
                self.queue.remove(&key);
                self.cache.put_pod(key.clone(), pod.clone(), &node);
                self.wake(Event::PodAdded(pod));
                self.bind(key, pod.clone(), node);
            }
            Decision::Refuse(diagnosis) => {
                self.counters.refused.inc();
                self.refuse(key, pod, diagnosis, turn, now);
            }
        }
    }

    fn refuse(
        &mut self,
        key: Key,
        pod: &Arc<Pod>,
        mut diagnosis: Diagnosis,
        turn: Turn,
        now: Instant,
    ) {
        let (mut victims, nomination) = self.make_room(pod, &mut diagnosis, turn);
        let message = diagnosis.message();
        self.queue.refused(&key, diagnosis.plugins(), now);
        if let Nomination::Set(node) = &nomination {
            if node.is_empty() {
                self.cache.renounce(&key);
            } else {
                // The status will say so too, but the next decision must know it now.
                let mut nominated = Pod::clone(pod);
                nominated.nominated = node.clone();
                let nominated = Arc::new(nominated);
                self.cache.nominate(key.clone(), nominated.clone());
                self.queue.put(key.clone(), nominated, false);
            }
        }
        let (writer, pod) = (self.writer.clone(), pod.clone());
        let told = {
            let (writer, pod, nomination) = (writer.clone(), pod.clone(), nomination.clone());
            async move { writer.tell_refused(&pod, message, nomination).await }
        };
        tokio::spawn(told);
        let Nomination::Set(node) = nomination else {
            return;
        };
        victims.retain(|victim| !victim.deleting);
        if victims.is_empty() {
            return;
        }
        self.counters.victims.inc_by(victims.len() as u64);
        self.preempting.insert(key.clone(), Cell::new(false));
        let lower = self.lower_nominated(&pod, &node);
        let (pods, outbox) = (self.pods.clone(), self.outbox.clone());
        tokio::spawn(async move {
            // They will hardly fit any more, and may look elsewhere.
            for other in lower {
                writer.clear_nomination(&other).await;
            }
            let result = match writer.evict(&pod, &node, &victims).await {
                Ok(revision) => {
                    pods.wait_for(revision).await;
                    Ok(())
                }
                Err(status) => Err(status),
            };
            drop(outbox.send(Message::Evicted { key, result }));
        });
    }

    /// PostFilter: the pods that should leave, and what becomes of the pod's nominated node.
    fn make_room(
        &self,
        pod: &Pod,
        diagnosis: &mut Diagnosis,
        turn: Turn,
    ) -> (Vec<Arc<Pod>>, Nomination) {
        let none = Nomination::Set("".into());
        let Some(profile) = self.profile(pod).map(|index| &self.profiles[index]) else {
            return (Vec::new(), none);
        };
        if diagnosis.nodes == 0 {
            return (Vec::new(), none);
        }
        let claims = profile.claims.then_some("no new claims to deallocate");
        let Some(args) = profile.preemption else {
            diagnosis.preemption = claims.map(str::to_owned);
            return (Vec::new(), none);
        };
        self.counters.preemptions.inc();
        let snapshot = self.cache.snapshot();
        let (message, nomination) = match preempt(profile, args, snapshot, pod, diagnosis, turn) {
            Preemption::Nominate { node, victims } => {
                let node = snapshot.node(node).name.clone();
                return (victims, Nomination::Set(node));
            }
            Preemption::Futile(message) => (message, none),
            Preemption::NotEligible(message) => (message, Nomination::Keep),
        };
        let message = format!("preemption: {message}");
        let said: Vec<&str> = claims.into_iter().chain([&*message]).collect();
        diagnosis.preemption = Some(said.join(", "));
        (Vec::new(), nomination)
    }

    /// Pods of lower priority for which room was made on a node.
    fn lower_nominated(&mut self, pod: &Pod, node: &str) -> Vec<Arc<Pod>> {
        let lower = |other: &&Arc<Pod>| other.priority < pod.priority && other.uid != pod.uid;
        let nominated = self.cache.snapshot().nominated(node).iter();
        let lower: Vec<Arc<Pod>> = nominated.filter(lower).cloned().collect();
        for other in &lower {
            let key = Key::new(other.namespace.as_ref(), other.name.as_ref());
            self.cache.renounce(&key);
            let mut free = Pod::clone(other);
            free.nominated = "".into();
            if self.queue.get(&key).is_some() {
                self.queue.put(key.clone(), Arc::new(free), false);
                self.queue.hurry(&key, Instant::now());
            }
        }
        lower
    }

    fn bind(&self, key: Key, pod: Arc<Pod>, node: Box<str>) {
        let (writer, outbox) = (self.writer.clone(), self.outbox.clone());
        tokio::spawn(async move {
            let result = writer.bind(&pod, &node).await;
            let bound = result.is_ok();
            let uid = pod.uid.clone();
            drop(outbox.send(Message::Bound { key, uid, result }));
            if bound {
                writer.tell_scheduled(&pod, &node).await;
            }
        });
    }

    fn bound(&mut self, key: &Key, uid: &str, result: Result<(), Status>) {
        let Err(status) = result else {
            self.counters.placed.inc();
            return;
        };
        self.counters.failed.inc();
        tracing::warn!(pod = %key, error = %status, "the binding failed");
        // The informer may have shown the bound pod, or another of the same name, meanwhile.
        let assumed = |pod: &&Arc<Pod>| pod.node_name.is_empty() && *pod.uid == *uid;
        let Some(pod) = self.cache.pod(key).filter(assumed).cloned() else {
            return;
        };
        self.cache.remove_pod(key);
        self.wake(Event::PodRemoved(&pod));
        if !matches!(status.reason, Reason::NotFound) {
            // What the informer showed of it since is newer.
            let newer = self.pods.get(key).map(|known| known.value.0.clone());
            if let Some(newer) = newer.filter(|newer| *newer.uid == *uid && !newer.deleting) {
                self.queue.put(key.clone(), newer, false);
                self.queue.failed(key, Instant::now());
            }
        }
    }

    fn explain(&mut self, key: &Key) -> Option<ferrule_proto::v1::ExplainPodResponse> {
        let pod = match self.queue.get(key) {
            Some(pod) => pod.clone(),
            None => {
                // One that has a node is explained as if it had none yet.
                let mut free = Pod::clone(&self.pods.get(key)?.value.0);
                free.node_name = "".into();
                Arc::new(free)
            }
        };
        let profile = &self.profiles[self.profile(&pod)?];
        let snapshot = self.cache.prepare(profile, &pod);
        let place = self.queue.place(key);
        Some(explain::explain(profile, snapshot, &pod, place))
    }
}
