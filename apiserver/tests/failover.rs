//! Two API servers on one etcd: clients leave a server that is dead, paused or cut off, and a
//! leader that slept past its lease writes nothing.

#[path = "support/api.rs"]
mod api;
#[path = "support/etcd.rs"]
mod etcd;
#[path = "support/front.rs"]
mod front;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use etcd::EtcdServer;
use ferrule_apimachinery::scheme::gvr;
use ferrule_apimachinery::status::{Reason, Status};
use ferrule_client::leader::Times;
use ferrule_client::{
    At, Change, Client, DeleteOptions, Informer, LeaderElection, Patch, WriteOptions,
};
use ferrule_component_base::server::Limits;
use front::{Authority, Front, Road, State};
use serde_json::json;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Generous: moving takes seconds, the machine may be slow.
const PATIENCE: Duration = Duration::from_secs(40);

struct Pair {
    authority: Authority,
    fronts: [Front; 2],
    roads: [Road; 2],
    _servers: [api::Server; 2],
    _etcd: EtcdServer,
}

async fn pair() -> Pair {
    let etcd = EtcdServer::start();
    let servers = [
        api::server(&etcd.endpoint()).await,
        api::server(&etcd.endpoint()).await,
    ];
    let authority = Authority::new();
    let [one, two] = &servers;
    let fronts = [
        front::serve(&authority, one.api.clone(), Limits::default()).await,
        front::serve(&authority, two.api.clone(), Limits::default()).await,
    ];
    let roads = [
        Road::to(&fronts[0].address).await,
        Road::to(&fronts[1].address).await,
    ];
    Pair {
        authority,
        fronts,
        roads,
        _servers: servers,
        _etcd: etcd,
    }
}

impl Pair {
    /// A client that knows both servers, by roads that can be blocked.
    fn client(&self) -> Client {
        let [one, two] = &self.roads;
        self.authority.client(&[&one.address, &two.address])
    }

    /// A client that reaches the second server whatever happens.
    fn direct(&self) -> Client {
        self.authority.client(&[&self.fronts[1].address])
    }
}

fn maps() -> At {
    At::of(gvr::CONFIG_MAPS).namespace("default")
}

async fn create(client: &Client, name: &str) -> Result<i64, Status> {
    let object = api::config_map(name).to_string();
    let made = client
        .create(&maps(), object, &WriteOptions::default())
        .await?;
    Ok(made.revision)
}

/// A fault of the first server, and how it ends.
async fn fail_over(fault: fn(&Pair), mend: fn(&Pair)) {
    let pair = pair().await;
    let (client, direct) = (pair.client(), pair.direct());
    let told = Arc::new(Mutex::new(Vec::new()));
    let shutdown = CancellationToken::new();
    let hear = told.clone();
    let reader = Informer::<()>::builder(&client, gvr::CONFIG_MAPS)
        .namespace("default")
        .on_change(move |change: &Change<()>| {
            let kind = match change {
                Change::Added(_) => "added",
                Change::Modified { .. } => "modified",
                Change::Deleted(_) => "deleted",
            };
            let name = change.key().name.to_string();
            if name.starts_with("m-") {
                hear.lock().unwrap().push(format!("{kind} {name}"));
            }
        })
        .start(shutdown.clone());
    timeout(PATIENCE, reader.wait_synced()).await.unwrap();
    create(&client, "m-0").await.unwrap();
    assert_eq!((pair.roads[0].accepted(), pair.roads[1].accepted()), (1, 0));

    fault(&pair);
    let mut expected = vec!["added m-0".to_owned()];
    let mut last = 0;
    for turn in 1..=20 {
        last = create(&direct, &format!("m-{turn}")).await.unwrap();
        expected.push(format!("added m-{turn}"));
    }
    let deleted = direct
        .delete(&maps().name("m-7"), &DeleteOptions::default())
        .await
        .unwrap();
    expected.push("deleted m-7".to_owned());
    last = last.max(deleted.revision);
    timeout(PATIENCE, reader.wait_for(last))
        .await
        .expect("the informer goes on at the other server");
    assert_eq!(*told.lock().unwrap(), expected);
    assert_eq!(reader.lists(), 1, "it resumed after the last revision");
    timeout(PATIENCE, client.get(&maps().name("m-1")))
        .await
        .expect("calls go on")
        .expect("it is there");
    mend(&pair);
    timeout(PATIENCE, create(&client, "m-21"))
        .await
        .expect("calls go on")
        .expect("it is made");
    shutdown.cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_leave_a_server_that_died() {
    fail_over(
        |pair| pair.roads[0].set(State::Closed),
        |pair| pair.roads[0].set(State::Open),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_leave_a_server_that_is_paused_or_cut_off() {
    fail_over(
        |pair| pair.roads[0].set(State::Frozen),
        |pair| pair.roads[0].set(State::Open),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_leave_a_server_that_says_that_it_is_not_ready() {
    fail_over(
        |pair| {
            let why = "etcd is unavailable".to_owned();
            pair.fronts[0].health.set("etcd", Err(why));
        },
        |pair| pair.fronts[0].health.set("etcd", Ok(())),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_begins_with_a_server_that_answers() {
    let pair = pair().await;
    for state in [State::Frozen, State::Closed] {
        pair.roads[0].set(state);
        let client = pair.client();
        timeout(
            PATIENCE,
            client.get(&At::of(gvr::NAMESPACES).name("default")),
        )
        .await
        .expect("another server is taken")
        .expect("the namespace is there");
    }
}

fn quick() -> Times {
    Times {
        lease_duration: Duration::from_secs(3),
        renew_deadline: Duration::from_secs(2),
        retry_period: Duration::from_millis(200),
    }
}

/// Everything that an elected leader may do to an object.
async fn try_every_write(client: &Client) -> Vec<Result<(), Status>> {
    let options = WriteOptions::default();
    let one = maps().name("kept");
    let patch = Patch::Merge(json!({"data": {"by": "old"}}));
    let mut replaced = api::config_map("kept");
    replaced["data"] = json!({"by": "old"});
    let binding = json!({
        "apiVersion": "v1", "kind": "Binding", "metadata": {"name": "waiting"},
        "target": {"kind": "Node", "name": "n1"}
    });
    let pod = At::of(gvr::PODS).namespace("default").name("waiting");
    vec![
        create(client, "by-old").await.map(drop),
        client.patch(&one, &patch, &options).await.map(drop),
        client
            .update(&one, replaced.to_string(), &options)
            .await
            .map(drop),
        client
            .delete(&one, &DeleteOptions::default())
            .await
            .map(drop),
        client
            .create(&pod.subresource("binding"), binding.to_string(), &options)
            .await
            .map(drop),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_slept_past_its_lease_writes_nothing() {
    let pair = pair().await;
    let direct = pair.direct();
    create(&direct, "kept").await.unwrap();
    let pods = At::of(gvr::PODS).namespace("default");
    let pod = api::pod("waiting").to_string();
    direct
        .create(&pods, pod, &WriteOptions::default())
        .await
        .unwrap();

    // A process of its own: a runtime that stands still while its leader sleeps.
    let config = pair
        .authority
        .admin(&[&pair.roads[0].address, &pair.roads[1].address]);
    let (leads, led) = oneshot::channel();
    let (wake, woken) = std::sync::mpsc::channel::<()>();
    let (tell, tried) = oneshot::channel();
    let old = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async move {
            let client = Client::new(&config).unwrap();
            let election = LeaderElection::new(&client, "kube-system", "tested", "old", quick());
            // Work that does not know yet that the term is over.
            let late = TaskTracker::new();
            let ended = election.run(CancellationToken::new(), async |client, _| {
                create(&client, "in-its-term").await.unwrap();
                leads.send(()).unwrap();
                woken.recv().unwrap();
                late.spawn(async move { tell.send(try_every_write(&client).await).unwrap() });
                std::future::pending::<()>().await;
            });
            let ended = timeout(PATIENCE, ended).await.expect("its leadership ends");
            late.close();
            late.wait().await;
            ended
        })
    });
    timeout(PATIENCE, led).await.unwrap().unwrap();

    let election = LeaderElection::new(&direct, "kube-system", "tested", "new", quick());
    let (took_over, new_leads) = oneshot::channel();
    let shutdown = CancellationToken::new();
    let until = shutdown.clone();
    let new = tokio::spawn(async move {
        election
            .run(until.clone(), async move |client, _| {
                create(&client, "by-new").await.unwrap();
                took_over.send(()).unwrap();
                until.cancelled().await;
            })
            .await
    });
    timeout(PATIENCE, new_leads).await.unwrap().unwrap();
    let before = direct.get(&maps().name("kept")).await.unwrap().revision;

    wake.send(()).unwrap();
    for result in timeout(PATIENCE, tried).await.unwrap().unwrap() {
        let refusal = result.expect_err("nothing is written in an epoch that is over");
        assert_eq!(refusal.reason, Reason::Conflict, "{refusal}");
        assert!(refusal.message.contains("epoch is over"), "{refusal}");
    }
    let ended = tokio::task::spawn_blocking(move || old.join().unwrap());
    assert!(ended.await.unwrap().is_err(), "it learns that it lost");
    let kept = direct.get(&maps().name("kept")).await.unwrap();
    assert_eq!(kept.revision, before);
    let missing = direct.get(&maps().name("by-old")).await.unwrap_err();
    assert_eq!(missing.reason, Reason::NotFound);
    let pod: serde_json::Value = direct
        .get(&pods.name("waiting"))
        .await
        .unwrap()
        .parse()
        .unwrap();
    assert!(pod["spec"]["nodeName"].is_null());
    shutdown.cancel();
    timeout(PATIENCE, new).await.unwrap().unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn leadership_outlives_the_loss_of_an_api_server() {
    let pair = pair().await;
    let election = LeaderElection::new(
        &pair.client(),
        "kube-system",
        "moved",
        "one",
        Times::default(),
    );
    let (leads, led) = oneshot::channel();
    let shutdown = CancellationToken::new();
    let until = shutdown.clone();
    let leader = tokio::spawn(async move {
        election
            .run(until.clone(), async move |_, _| {
                leads.send(()).unwrap();
                until.cancelled().await;
            })
            .await
    });
    timeout(PATIENCE, led).await.unwrap().unwrap();
    let lease = At::of(gvr::LEASES).namespace("kube-system").name("moved");
    let direct = pair.direct();
    pair.roads[0].set(State::Frozen);
    let frozen = direct.get(&lease).await.unwrap().revision;
    let end = Instant::now() + PATIENCE;
    while direct.get(&lease).await.unwrap().revision < frozen + 2 {
        assert!(
            Instant::now() < end,
            "the lease is renewed at the other server"
        );
        assert!(!leader.is_finished(), "it leads on");
        sleep(Duration::from_millis(100)).await;
    }
    shutdown.cancel();
    timeout(PATIENCE, leader).await.unwrap().unwrap().unwrap();
}
