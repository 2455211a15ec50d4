//! The resident memory and the processor time of every process of a cluster.

use std::collections::BTreeMap;
use std::fs;

use ferrule_e2e::Cluster;

/// A process: where it runs, its name, and its resident memory in KiB.
pub struct Process {
    /// The service of docker-compose.yml.
    pub service: String,
    /// The program.
    pub program: String,
    /// VmRSS, file pages included.
    pub resident: u64,
    /// RssAnon: what the process allocated.
    pub allocated: u64,
    /// Seconds of processor time so far.
    pub cpu: f64,
}

/// The processes of these services, and others by name and number. What runs more than once counts together.
pub fn of_cluster_and(
    cluster: &Cluster,
    services: &[&str],
    others: &[(&str, u32)],
) -> anyhow::Result<BTreeMap<String, Process>> {
    let mut found: BTreeMap<String, Process> = BTreeMap::new();
    let others = others.iter().filter_map(|(name, process)| {
        let own = read("host", *process)?;
        Some(Process {
            program: (*name).to_owned(),
            ..own
        })
    });
    for process in processes(cluster, services)?.into_iter().chain(others) {
        let sum = found.entry(process.program.clone()).or_insert(Process {
            resident: 0,
            allocated: 0,
            cpu: 0.0,
            ..process
        });
        sum.resident += process.resident;
        sum.allocated += process.allocated;
        sum.cpu += process.cpu;
    }
    Ok(found)
}

/// Every process under the first one of each of these services.
pub fn processes(cluster: &Cluster, services: &[&str]) -> anyhow::Result<Vec<Process>> {
    let mut found = Vec::new();
    for service in services {
        let mut pending = vec![cluster.first_process(service)?];
        while let Some(process) = pending.pop() {
            pending.extend(children(process));
            if let Some(process) = read(service, process) {
                found.push(process);
            }
        }
    }
    found.sort_by(|a, b| (&a.service, &a.program).cmp(&(&b.service, &b.program)));
    Ok(found)
}

fn children(process: u32) -> Vec<u32> {
    fs::read_to_string(format!("/proc/{process}/task/{process}/children"))
        .unwrap_or_default()
        .split_whitespace()
        .filter_map(|child| child.parse().ok())
        .collect()
}

fn read(service: &str, process: u32) -> Option<Process> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let words = fs::read(format!("/proc/{process}/cmdline")).ok()?;
    let words: Vec<_> = words
        .split(|byte| *byte == 0)
        .map(String::from_utf8_lossy)
        .collect();
    let name = words.first()?.rsplit('/').next()?.to_owned();
    let shim = words.get(1).is_some_and(|word| word == "shim");
    Some(Process {
        service: service.to_owned(),
        program: if shim { format!("{name} shim") } else { name },
        resident: kibibytes(&status, "VmRSS:")?,
        allocated: kibibytes(&status, "RssAnon:")?,
        cpu: seconds(&fs::read_to_string(format!("/proc/{process}/stat")).ok()?)?,
    })
}

fn kibibytes(status: &str, key: &str) -> Option<u64> {
    let line = status.lines().find(|line| line.starts_with(key))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// User and system time of `/proc/PID/stat`; Linux counts them in hundredths of a second.
fn seconds(stat: &str) -> Option<f64> {
    // The name of the program may hold blanks and parentheses.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |field: usize| fields.get(field)?.parse::<u64>().ok();
    Some((ticks(11)? + ticks(12)?) as f64 / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_from_the_line_of_its_key() {
        let status = "Name:\tx\nVmRSS:\t   5120 kB\nRssAnon:\t    812 kB\n";
        assert_eq!(kibibytes(status, "VmRSS:"), Some(5120));
        assert_eq!(kibibytes(status, "RssAnon:"), Some(812));
        assert_eq!(kibibytes(status, "VmSwap:"), None);
    }

    #[test]
    fn processor_time_is_that_of_user_and_system() {
        let stat = "7 (a ) b) S 1 7 7 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 1 0 100 1000 10";
        assert_eq!(seconds(stat), Some(3.0));
        assert_eq!(seconds("7 (a"), None);
    }
}
