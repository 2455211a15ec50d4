//! Talking with running containers: exec, attach, port-forward, cp, run, logs.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};
use ferrule_e2e::wait::{seconds, until};
use ferrule_e2e::{Lab, command};

use crate::manifests::shell;
use crate::pty::{Piped, Terminal};
use crate::steps::{echo, names, ready_pod, ready_pods, text};

/// How long something on a screen may take.
const SOON: Duration = seconds(15);

pub fn exec_in_a_terminal_has_its_size_and_its_exit_code(lab: &Lab) -> anyhow::Result<()> {
    lab.kubectl.apply(&shell("box", "Always", "sleep 600"))?;
    ready_pod(&lab.kubectl, "box")?;
    let exec = lab.kubectl.command(&["exec", "-it", "box", "--", "sh"]);
    let mut terminal = Terminal::start(&exec, 24, 80)?;
    terminal.screen.holds("# ", SOON)?;
    terminal.types("stty size; tty >/dev/null && echo in a $((40+2)) terminal\n")?;
    terminal.screen.holds("24 80\r\n", SOON)?;
    terminal.screen.holds("in a 42 terminal\r\n", SOON)?;
    terminal.resize(40, 100)?;
    until("the container sees the new size", SOON, || {
        terminal.types("stty size\n")?;
        terminal.screen.holds("40 100\r\n", seconds(1))
    })?;
    terminal.types("exit 5\n")?;
    let code = terminal.ends(SOON)?;
    ensure!(code == Some(5), "its exit code is {code:?}");
    terminal
        .screen
        .holds("command terminated with exit code 5", SOON)?;
    Ok(())
}

pub fn exec_without_a_terminal_says_so_and_goes_on(lab: &Lab) -> anyhow::Result<()> {
    lab.kubectl.apply(crate::manifests::TWO_CONTAINERS)?;
    ready_pod(&lab.kubectl, "two")?;
    let output = lab
        .kubectl
        .run(&["exec", "-it", "two", "--", "cat"], "typed\n")?;
    ensure!(
        output.success()
            && output.stdout == "typed\n"
            && output.stderr
                == "Defaulted container \"first\" out of: first, beside\n\
                    Unable to use a TTY - input is not a terminal or the right kind of file\n",
        "{output:?}"
    );
    let quiet = lab
        .kubectl
        .run(&["exec", "-itq", "two", "--", "cat"], "typed\n")?;
    ensure!(quiet.success() && quiet.stderr.is_empty(), "{quiet:?}");
    Ok(())
}

pub fn attach_shows_output_and_feeds_input(lab: &Lab) -> anyhow::Result<()> {
    let script = "while read line; do echo got $line; [ $line = bye ] && exit 0; done";
    let listener = |name: &str, tty: bool| {
        shell(name, "Never", script) + &format!("      stdin: true\n      tty: {tty}\n")
    };
    lab.kubectl.apply(&listener("plain", false))?;
    lab.kubectl.apply(&listener("screen", true))?;
    ready_pod(&lab.kubectl, "plain")?;
    let output = lab
        .kubectl
        .run(&["attach", "-i", "plain"], "hello\nbye\n")?;
    ensure!(
        output.success()
            && output.stdout == "got hello\ngot bye\n"
            && output
                .stderr
                .ends_with("If you don't see a command prompt, try pressing enter.\n"),
        "{output:?}"
    );
    ready_pod(&lab.kubectl, "screen")?;
    let attach = lab.kubectl.command(&["attach", "-it", "screen"]);
    let mut terminal = Terminal::start(&attach, 24, 80)?;
    terminal.screen.holds("try pressing enter.", SOON)?;
    terminal.types("hello\n")?;
    terminal.screen.holds("got hello\r\n", SOON)?;
    terminal.types("bye\n")?;
    terminal.screen.holds("got bye\r\n", SOON)?;
    let code = terminal.ends(SOON)?;
    ensure!(code == Some(0), "its exit code is {code:?}");
    Ok(())
}

/// Starts a port-forward with a port of its choice, and answers with that port.
fn forward(lab: &Lab, words: &[&str], remote: u16) -> anyhow::Result<(Piped, u16)> {
    let words: Vec<&str> = ["port-forward"].iter().chain(words).copied().collect();
    let process = Piped::start(lab.kubectl.command(&words))?;
    let said = process
        .out
        .holds(&format!(" -> {remote}\n"), seconds(30))
        .with_context(|| process.err.text())?;
    let line = said
        .lines()
        .find_map(|line| line.strip_prefix("Forwarding from 127.0.0.1:"))
        .context("it says where")?;
    let port = line.split(' ').next().context("a port")?.parse()?;
    Ok((process, port))
}

fn get(port: u16) -> anyhow::Result<String> {
    let mut connection = TcpStream::connect(("127.0.0.1", port))?;
    connection.set_read_timeout(Some(SOON))?;
    connection.write_all(b"GET / HTTP/1.0\r\nHost: x\r\n\r\n")?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer)?;
    Ok(answer)
}

pub fn port_forward_reaches_pods_services_and_their_ports_by_name(lab: &Lab) -> anyhow::Result<()> {
    let web = echo(lab, "web", 1)?;
    let pod = names(&web.pods).into_iter().next().context("a pod")?;
    for target in ["deploy/web", "svc/web", pod.as_str()] {
        let (process, port) = forward(lab, &[target, ":80"], 80)?;
        let answer = get(port)?;
        ensure!(answer.contains(&pod), "{target} answers {answer:?}");
        process
            .out
            .holds(&format!("Handling connection for {port}\n"), SOON)?;
    }
    let said = lab.kubectl.fails("port-forward svc/web 8080:81")?;
    ensure!(
        said == "error: Service web does not have a service port 81\n",
        "{said}"
    );
    let said = lab.kubectl.fails(&format!("port-forward {pod} http"))?;
    ensure!(
        said == format!("error: Pod '{pod}' does not have a named port 'http'\n"),
        "{said}"
    );
    Ok(())
}

pub fn port_forward_carries_much_both_ways_and_ends_with_the_pod(lab: &Lab) -> anyhow::Result<()> {
    const SIZE: usize = 16 << 20;
    let script = "while :; do nc -l -p 9000 -e cat; done";
    lab.kubectl.apply(&shell("mirror", "Always", script))?;
    ready_pod(&lab.kubectl, "mirror")?;
    let (mut process, port) = forward(lab, &["pod/mirror", ":9000"], 9000)?;
    let sent: Vec<u8> = (0..SIZE).map(|place| (place * 31 / 7) as u8).collect();
    let mut connection = TcpStream::connect(("127.0.0.1", port))?;
    connection.set_read_timeout(Some(seconds(60)))?;
    let mut writer = connection.try_clone()?;
    let copy = sent.clone();
    let writing = std::thread::spawn(move || {
        writer.write_all(&copy)?;
        writer.shutdown(Shutdown::Write)
    });
    let mut received = Vec::new();
    connection.read_to_end(&mut received)?;
    let written = writing
        .join()
        .map_err(|_| anyhow::anyhow!("the writer panicked"))?;
    written?;
    ensure!(
        received == sent,
        "{} bytes were sent, and {} came back",
        sent.len(),
        received.len()
    );
    lab.kubectl.ok("delete pod mirror --wait=false")?;
    let code = process.ends(seconds(60))?;
    ensure!(
        code == Some(1) && process.err.text() == "error: lost connection to pod\n",
        "{code:?} {:?}",
        process.err.text()
    );
    Ok(())
}

pub fn files_and_folders_are_copied_both_ways(lab: &Lab) -> anyhow::Result<()> {
    lab.kubectl.apply(&shell("box", "Always", "sleep 600"))?;
    ready_pod(&lab.kubectl, "box")?;
    let root = std::env::temp_dir().join(format!("ferrule-cp-{}", lab.namespace));
    let result = copied(lab, &root);
    std::fs::remove_dir_all(&root)?;
    result
}

fn copied(lab: &Lab, root: &Path) -> anyhow::Result<()> {
    let (from, to) = (root.join("from"), root.join("to"));
    std::fs::create_dir_all(from.join("deep"))?;
    let large: Vec<u8> = (0..3_000_000_u32)
        .map(|place| (place * 7 / 3) as u8)
        .collect();
    std::fs::write(from.join("deep/large"), &large)?;
    std::fs::write(from.join("small"), "small\n")?;
    let path = |path: &Path| path.display().to_string();
    let kubectl = &lab.kubectl;
    kubectl.words(&["cp", &path(&from), "box:/tmp/new"])?;
    let listed = kubectl.ok("exec box -- cat /tmp/new/small")?;
    ensure!(listed == "small\n", "{listed:?}");
    // A folder that is there receives the copy.
    kubectl.words(&["cp", &path(&from.join("small")), "box:/tmp"])?;
    kubectl.ok("exec box -- test -f /tmp/small")?;
    kubectl.ok("exec box -- ln -s small /tmp/new/link")?;
    for retries in ["0", "2"] {
        let target = path(&to.join(retries));
        let retries = format!("--retries={retries}");
        let output = kubectl.run(&["cp", "box:/tmp/new", &target, &retries], "")?;
        ensure!(
            output.success() && output.stderr.starts_with("warning: skipping symlink: "),
            "{output:?}"
        );
        ensure!(
            std::fs::read(format!("{target}/deep/large"))? == large,
            "{retries}: it differs"
        );
        ensure!(std::fs::read_to_string(format!("{target}/small"))? == "small\n");
        ensure!(
            !Path::new(&format!("{target}/link")).exists(),
            "a link was made"
        );
    }
    let said = kubectl.fails("cp /does/not/exist box:/tmp")?;
    ensure!(
        said == "error: /does/not/exist doesn't exist in local filesystem\n",
        "{said}"
    );
    let output = kubectl.run(&["cp", "box:/tmp/missing", &path(&to)], "")?;
    ensure!(
        !output.success()
            && output
                .stderr
                .starts_with("command terminated with exit code"),
        "{output:?}"
    );
    Ok(())
}

pub fn run_in_a_terminal_ends_with_the_pods_code_and_removes_it(lab: &Lab) -> anyhow::Result<()> {
    let run = lab.kubectl.command(&[
        "run",
        "once",
        "-it",
        "--rm",
        "--restart=Never",
        "--image=busybox",
        "--image-pull-policy=IfNotPresent",
        "--",
        "sh",
    ]);
    let mut terminal = Terminal::start(&run, 30, 90)?;
    terminal.screen.holds("try pressing enter.", seconds(60))?;
    until("the shell answers", SOON, || {
        terminal.types("stty size\n")?;
        terminal.screen.holds("30 90\r\n", seconds(1))
    })?;
    terminal.types("exit 3\n")?;
    let code = terminal.ends(seconds(60))?;
    ensure!(code == Some(3), "{code:?} {:?}", terminal.screen.text());
    let said = format!("pod \"once\" deleted from {} namespace", lab.namespace);
    terminal.screen.holds(&said, SOON)?;
    terminal.screen.holds("/once terminated (Error)", SOON)?;
    until("the pod is gone", seconds(45), || {
        lab.kubectl.fails("get pod once").map(drop)
    })?;
    let mut attached = lab.kubectl.command(&[
        "run",
        "told",
        "--attach",
        "--rm",
        "-q",
        "--restart=Never",
        "--image=busybox",
        "--",
        "sh",
        "-c",
        "sleep 2; echo told; exit 4",
    ]);
    let output = command::run(&mut attached, "", seconds(90))?;
    ensure!(
        output.code == Some(4) && output.stdout == "told\n",
        "{output:?}"
    );
    Ok(())
}

pub fn logs_of_several_pods_are_told_apart(lab: &Lab) -> anyhow::Result<()> {
    let script = "for i in 1 2 3 4 5 6 7 8 9 10 11 12; do echo line $i; done; sleep 600";
    let manifest = format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: tellers}}\nspec:\n  replicas: 2\n  selector: {{matchLabels: {{app: tellers}}}}\n  \
         template:\n    metadata: {{labels: {{app: tellers}}}}\n    spec:\n      terminationGracePeriodSeconds: 1\n      containers:\n        \
         - {{name: a, image: busybox, command: [sh, -c, {script:?}]}}\n        - {{name: b, image: busybox, command: [sh, -c, {script:?}]}}\n"
    );
    lab.kubectl.apply(&manifest)?;
    let pods = names(&ready_pods(&lab.kubectl, "app=tellers", 2)?);
    let expected = |containers: &[&str], lines: std::ops::RangeInclusive<u32>| {
        let mut all = Vec::new();
        for pod in &pods {
            for container in containers {
                for line in lines.clone() {
                    all.push(format!("[pod/{pod}/{container}] line {line}"));
                }
            }
        }
        all.sort();
        all
    };
    for (line, wanted) in [
        (
            "logs -l app=tellers --prefix --all-containers",
            expected(&["a", "b"], 3..=12),
        ),
        (
            "logs -l app=tellers --prefix -c a --tail=-1",
            expected(&["a"], 1..=12),
        ),
        (
            "logs deploy/tellers --all-pods -c b --tail=2",
            expected(&["b"], 11..=12),
        ),
    ] {
        for kubectl in std::iter::once(&lab.kubectl).chain(&lab.upstream) {
            until("all lines are written", SOON, || {
                let shown = kubectl.ok(line)?;
                let mut shown: Vec<&str> = shown.lines().collect();
                shown.sort_unstable();
                ensure!(shown == wanted, "{}: {line}: {shown:?}", kubectl.whose());
                Ok(())
            })?;
        }
    }
    for kubectl in std::iter::once(&lab.kubectl).chain(&lab.upstream) {
        let output = kubectl.run(&["logs", "deploy/tellers", "--tail=1"], "")?;
        ensure!(
            output.stdout == "line 12\n"
                && output
                    .stderr
                    .starts_with("Found 2 pods, using pod/tellers-")
                && output
                    .stderr
                    .ends_with("\nDefaulted container \"a\" out of: a, b\n"),
            "{}: {output:?}",
            kubectl.whose()
        );
        for (line, wanted) in [
            (
                "logs -f -l app=tellers --all-containers --max-log-requests=3",
                "error: you are attempting to follow 4 log streams, but maximum allowed concurrency is 3, use --max-log-requests to increase the limit\n".to_owned(),
            ),
            (
                "logs deploy/tellers --all-containers -c a",
                "error: --all-containers=true should not be specified with container name a\n".to_owned(),
            ),
        ] {
            let said = kubectl.fails(line)?;
            ensure!(said == wanted, "{}: {said}", kubectl.whose());
        }
        let pod = pods.first().context("a pod")?;
        let said = kubectl.fails(&format!("logs {pod} -c none"))?;
        ensure!(
            // Newer versions name the containers that there are.
            said.starts_with(&format!("error: container none is not valid for pod {pod}")),
            "{}: {said}",
            kubectl.whose()
        );
    }
    follows_several(lab)
}

/// Lines that come while several logs are followed.
fn follows_several(lab: &Lab) -> anyhow::Result<()> {
    let follow = Piped::start(lab.kubectl.command(&[
        "logs",
        "-f",
        "-l",
        "app=tellers",
        "-c",
        "a",
        "--prefix",
        "--tail=0",
    ]))?;
    for pod in ready_pods(&lab.kubectl, "app=tellers", 2)? {
        let name = text(&pod["metadata"]["name"]);
        // What its first process writes is the container's log.
        until("a line that is written meanwhile is shown", SOON, || {
            lab.kubectl.words(&[
                "exec",
                name,
                "-c",
                "a",
                "--",
                "sh",
                "-c",
                "echo meanwhile >/proc/1/fd/1",
            ])?;
            follow
                .out
                .holds(&format!("[pod/{name}/a] meanwhile\n"), seconds(1))
        })?;
    }
    Ok(())
}
