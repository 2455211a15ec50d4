//! Files and streams of a node: logs, CNI, users of an image, kubeconfigs.

use std::cell::RefCell;
use std::fs;
use std::path::{Path, PathBuf};

use ferrule_client::kubeconfig::{ClientConfig, Kubeconfig};
use ferrule_cri_runtime::cni::Cni;
use ferrule_cri_runtime::image::aliases::Aliases;
use ferrule_cri_runtime::spec::user;
use ferrule_kubelet::server::logs;
use ferrule_kubelet::{dns, env};
use ferrule_network::cni::config::{Call, Configuration};
use ferrule_network::cni::plugin;
use ferrule_proto::v1::LogsRequest;
use tempfile::TempDir;

/// A folder in memory for what is read from files.
pub struct Scratch(TempDir);

impl Scratch {
    /// A folder of its own for each target.
    pub fn new() -> Scratch {
        let memory = Path::new("/dev/shm");
        let folder = match memory.is_dir() {
            true => tempfile::tempdir_in(memory),
            false => tempfile::tempdir(),
        };
        Scratch(folder.expect("a folder"))
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// A file with this content.
    pub fn file(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.path().join(name);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).expect("a folder");
        }
        fs::write(&path, content).expect("a file");
        path
    }
}

impl Default for Scratch {
    fn default() -> Scratch {
        Scratch::new()
    }
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::new(Scratch::new());
}

fn in_file<T>(name: &str, content: &[u8], read: impl FnOnce(&Path) -> T) -> T {
    SCRATCH.with_borrow(|scratch| read(&scratch.file(name, content)))
}

/// Four bytes of options, and a log in the format of the CRI.
pub fn cri_log(data: &[u8]) {
    let Some(([flags, tail, limit, since], log)) = data.split_first_chunk::<4>() else {
        return;
    };
    let chosen = |bit: u8| flags & bit != 0;
    let request = LogsRequest {
        timestamps: chosen(1),
        tail_lines: chosen(2).then(|| i64::from(*tail)),
        limit_bytes: chosen(4).then(|| i64::from(*limit)),
        since_time: match chosen(8) {
            true => format!("2026-11-21T04:00:{:02}Z", since % 60),
            false => String::new(),
        },
        since_seconds: chosen(16).then_some(i64::MAX >> (since % 64)),
        ..LogsRequest::default()
    };
    if let Ok(options) = logs::Options::new(&request) {
        let text = logs::text(log, options);
        // A line may be longer by its end alone.
        assert!(text.len() <= log.len() + 1);
        if chosen(4) {
            assert!(text.len() <= usize::from(*limit));
        }
    }
    in_file("log", log, |path| {
        let most = usize::from(*limit);
        // What is no text is shown by characters of three bytes.
        assert!(logs::tail_text(path, usize::from(*tail), most).len() <= 3 * most);
    });
}

/// A configuration on standard input, or a list of plugins in a file.
pub fn cni(data: &[u8]) {
    if let Ok(configuration) = Configuration::decode(data) {
        let cidr = configuration.pod_cidr;
        assert!(cidr.contains(cidr.base()));
        assert!(cidr.pods().take(4).all(|address| cidr.contains(address)));
    }
    let text = String::from_utf8_lossy(data).into_owned();
    let call = Call {
        command: "VERSION".to_owned(),
        container: text.clone(),
        namespace: text.clone(),
        interface: text.clone(),
    };
    let _ = call.validate();
    plugin::run(&call, data).expect("the version is said");
    let unknown = Call {
        command: text,
        ..Call::default()
    };
    if let Err(failure) = unknown.validate() {
        serde_json::from_str::<serde_json::Value>(&failure.to_json(data)).expect("JSON");
    }
    in_file("cni/10-net.conflist", data, |path| {
        let cni = Cni {
            configuration: path.parent().expect("a folder").to_owned(),
            plugins: Vec::new(),
        };
        let _ = cni.network();
    });
}

/// What the file systems of images and nodes say: the user of an image, a line, and a file.
pub fn node_files(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    dns::parse(&text);
    let looked_up = |name: &str| (!name.is_empty()).then(|| name.to_owned());
    env::expand::expand(&text, looked_up);
    let (name, file) = text.split_once('\n').unwrap_or((&text, ""));
    SCRATCH.with_borrow(|scratch| {
        scratch.file("root/etc/passwd", file.as_bytes());
        scratch.file("root/etc/group", file.as_bytes());
        let _ = user::resolve(&Default::default(), name, &scratch.path().join("root"));
        let aliases = scratch.file("aliases.yaml", file.as_bytes());
        Aliases::new(aliases).resolve(name);
    });
}

/// A kubeconfig.
pub fn kubeconfig(data: &[u8]) {
    in_file("config", data, |path| {
        if let Ok(config) = Kubeconfig::load(path) {
            let _ = ClientConfig::from_kubeconfig(&config, None);
            let written = config.to_yaml().expect("what was read is written");
            let again = in_file("again", written.as_bytes(), Kubeconfig::load);
            again.expect("what was written is read");
        }
    });
}
