use super::*;

const FIRST: Duration = Duration::from_secs(1);

fn pod(priority: i32) -> Arc<Pod> {
    Arc::new(Pod {
        priority,
        ..Pod::default()
    })
}

fn key(name: &str) -> Key {
    Key::new("default", name)
}

fn refused(queue: &mut SchedulingQueue, name: &str, now: Instant) {
    queue.put(key(name), pod(0), false);
    queue.pop();
    queue.refused(&key(name), vec!["NodeResourcesFit"], now);
}

fn popped(queue: &mut SchedulingQueue) -> Vec<Key> {
    std::iter::from_fn(|| queue.pop().map(|(key, _)| key)).collect()
}

#[test]
fn higher_priority_goes_first_then_the_older() {
    let mut queue = SchedulingQueue::default();
    for (name, priority) in [("first", 0), ("urgent", 10), ("second", 0)] {
        queue.put(key(name), pod(priority), false);
    }
    assert_eq!(
        popped(&mut queue),
        [key("urgent"), key("first"), key("second")]
    );
}

#[test]
fn who_was_refused_goes_behind_those_who_wait_for_their_first_try() {
    let mut queue = SchedulingQueue::default();
    let now = Instant::now();
    queue.put(key("tried"), pod(0), false);
    queue.put(key("new"), pod(0), false);
    queue.pop();
    queue.refused(&key("tried"), vec!["NodeResourcesFit"], now);
    queue.wake(now + FIRST, |_, _, _| true);
    assert_eq!(popped(&mut queue), [key("new"), key("tried")]);
}

#[test]
fn a_refused_pod_is_woken_by_an_event_that_concerns_it_and_keeps_its_back_off() {
    let mut queue = SchedulingQueue::default();
    let now = Instant::now();
    refused(&mut queue, "a", now);
    assert_eq!(queue.place(&key("a")), "unschedulable");
    queue.wake(now, |_, _, plugins| plugins.contains(&"NodePorts"));
    assert_eq!(queue.place(&key("a")), "unschedulable");
    queue.wake(now, |_, _, plugins| plugins.contains(&"NodeResourcesFit"));
    assert_eq!(queue.place(&key("a")), "backoff");
    assert_eq!(queue.ripen(now), Some(now + FIRST));
    queue.ripen(now + FIRST);
    assert_eq!(queue.place(&key("a")), "active");
}

#[test]
fn the_back_off_doubles_up_to_its_bound() {
    let mut queue = SchedulingQueue::default();
    let mut now = Instant::now();
    queue.put(key("a"), pod(0), false);
    for seconds in [1, 2, 4, 8, 10, 10] {
        queue.pop();
        queue.failed(&key("a"), now);
        let due = now + Duration::from_secs(seconds);
        assert_eq!(queue.ripen(now), Some(due), "{seconds}");
        now = due;
        queue.ripen(now);
    }
}

#[test]
fn a_pod_that_nothing_wakes_is_tried_again_after_five_minutes() {
    let mut queue = SchedulingQueue::default();
    let now = Instant::now();
    refused(&mut queue, "a", now);
    assert_eq!(queue.ripen(now), Some(now + FLUSH));
    queue.ripen(now + FLUSH);
    assert_eq!(queue.place(&key("a")), "active");
}

#[test]
fn a_gated_pod_is_not_decided_on_until_its_gates_are_gone() {
    let mut queue = SchedulingQueue::default();
    queue.put(key("a"), pod(0), true);
    assert_eq!(queue.place(&key("a")), "gated");
    assert_eq!(queue.pop().map(|(key, _)| key), None);
    queue.wake(Instant::now(), |_, _, _| true);
    assert_eq!(queue.place(&key("a")), "gated");
    queue.put(key("a"), pod(0), false);
    assert_eq!(popped(&mut queue), [key("a")]);
}

#[test]
fn a_change_of_what_a_refused_pod_asks_for_is_tried_at_once_and_one_of_its_status_is_not() {
    let mut queue = SchedulingQueue::default();
    refused(&mut queue, "a", Instant::now());
    let mut told = Pod::clone(&pod(0));
    told.refusal = Some(("Unschedulable".into(), "no".into()));
    queue.put(key("a"), Arc::new(told), false);
    assert_eq!(queue.place(&key("a")), "unschedulable");
    let mut smaller = Pod::clone(&pod(0));
    smaller.requests.milli_cpu = 1;
    queue.put(key("a"), Arc::new(smaller), false);
    assert_eq!(queue.place(&key("a")), "active");
}
