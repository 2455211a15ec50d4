//! What another process costs, from `/proc`.

use std::time::Duration;

use anyhow::Context;

/// A process that is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Process(pub u32);

impl Process {
    fn read(self, file: &str) -> anyhow::Result<String> {
        let file = format!("/proc/{}/{file}", self.0);
        std::fs::read_to_string(&file).with_context(|| format!("read {file}"))
    }

    /// The processor time that it has used.
    pub fn processor_time(self) -> anyhow::Result<Duration> {
        // Linux counts in hundredths of a second for everybody.
        const TICK: Duration = Duration::from_millis(10);
        let stat = self.read("stat")?;
        let (_, fields) = stat.rsplit_once(')').context("a malformed stat")?;
        let fields: Vec<&str> = fields.split_whitespace().collect();
        let ticks = |at: usize| fields.get(at).and_then(|text| text.parse::<u32>().ok());
        let ticks = ticks(11).zip(ticks(12)).context("a malformed stat")?;
        Ok(TICK * (ticks.0 + ticks.1))
    }

    /// Its resident memory in KiB: now, and the most since [`Process::forget_peak`].
    pub fn memory(self) -> anyhow::Result<(u64, u64)> {
        let status = self.read("status")?;
        let of = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.trim().trim_end_matches(" kB").parse().ok()
        };
        let both = of("VmRSS:").zip(of("VmHWM:"));
        both.context("a malformed status")
    }

    /// Lets the peak of its memory begin anew.
    pub fn forget_peak(self) -> anyhow::Result<()> {
        let file = format!("/proc/{}/clear_refs", self.0);
        std::fs::write(&file, "5").with_context(|| format!("write {file}"))
    }
}
