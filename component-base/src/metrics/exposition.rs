//! Prometheus' text format, version 0.0.4, in which upstream's components answer.
//!
//! The registry writes OpenMetrics. The two differ in the names of counters' families, in numbers, and in
//! the end; families, metrics and labels are in order here, as Go's client has them.

use std::fmt::Write;

/// The media type, as Go's client names it.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8; escaping=underscores";

/// Metrics under one name.
struct Family<'t> {
    name: String,
    help: &'t str,
    kind: &'t str,
    samples: Vec<Sample<'t>>,
}

struct Sample<'t> {
    name: &'t str,
    labels: Vec<(&'t str, &'t str)>,
    /// The upper bound, in a bucket of a histogram.
    bound: Option<String>,
    value: String,
}

impl Sample<'_> {
    fn values(&self) -> impl Iterator<Item = &str> {
        self.labels.iter().map(|(_, value)| *value)
    }

    /// Its place among the samples of one metric: a histogram's buckets, its sum, its count.
    fn rank(&self, kind: &str) -> usize {
        match kind {
            "histogram" if self.name.ends_with("_sum") => 1,
            "histogram" if self.name.ends_with("_count") => 2,
            _ => 0,
        }
    }
}

/// OpenMetrics, as the registry writes them, in the older format.
pub(super) fn classic(open_metrics: &str) -> String {
    let mut families: Vec<Family<'_>> = Vec::new();
    for line in open_metrics.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap_or((rest, ""));
            families.push(Family {
                name: name.to_owned(),
                help,
                kind: "untyped",
                samples: Vec::new(),
            });
        } else if let (Some(rest), Some(family)) =
            (line.strip_prefix("# TYPE "), families.last_mut())
        {
            family.kind = rest.rsplit(' ').next().unwrap_or_default();
            if family.kind == "counter" {
                family.name.push_str("_total");
            }
        } else if let (false, Some(family)) = (line.starts_with('#'), families.last_mut()) {
            family.samples.extend(sample(line));
        }
    }
    families.retain(|family| !family.samples.is_empty());
    families.sort_by(|left, right| left.name.cmp(&right.name));
    let mut out = String::with_capacity(open_metrics.len());
    for family in &mut families {
        let kind = family.kind;
        family.samples.sort_by(|left, right| {
            let by_labels = left.values().cmp(right.values());
            by_labels.then_with(|| left.rank(kind).cmp(&right.rank(kind)))
        });
        write_family(&mut out, family);
    }
    out
}

fn write_family(out: &mut String, family: &Family<'_>) {
    let Family {
        name, help, kind, ..
    } = family;
    // Writing to a String cannot fail.
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
    for sample in &family.samples {
        out.push_str(sample.name);
        let bound = sample.bound.as_deref().map(|bound| ("le", bound));
        let mut open = '{';
        for (label, value) in sample.labels.iter().copied().chain(bound) {
            let _ = write!(out, "{open}{label}=\"{value}\"");
            open = ',';
        }
        if open == ',' {
            out.push('}');
        }
        let _ = writeln!(out, " {}", sample.value);
    }
}

/// `name{label="value",…} number`.
fn sample(line: &str) -> Option<Sample<'_>> {
    let (head, value) = line.rsplit_once(' ')?;
    let (name, labels) = match head.split_once('{') {
        Some((name, labels)) => (name, labels.strip_suffix('}')?),
        None => (head, ""),
    };
    let mut labels = pairs(labels);
    labels.sort_unstable();
    let bound = labels.iter().position(|(label, _)| *label == "le");
    let bound = bound.map(|at| number(labels.remove(at).1));
    Some(Sample {
        name,
        labels,
        bound,
        value: number(value),
    })
}

/// Labels with their values, which stay as they are escaped.
fn pairs(mut text: &str) -> Vec<(&str, &str)> {
    let mut pairs = Vec::new();
    while let Some((label, rest)) = text.split_once("=\"") {
        let mut escaped = false;
        let end = rest.bytes().position(|byte| {
            let ends = byte == b'"' && !escaped;
            escaped = byte == b'\\' && !escaped;
            ends
        });
        let Some(end) = end else { break };
        pairs.push((label.trim_start_matches(','), &rest[..end]));
        text = &rest[end + 1..];
    }
    pairs
}

/// A number as Go writes it: the fewest digits that tell it, with an exponent from a million on.
fn number(text: &str) -> String {
    let Ok(value) = text.parse::<f64>() else {
        return text.to_owned();
    };
    if !value.is_finite() {
        return match value {
            value if value.is_nan() => "NaN",
            value if value > 0.0 => "+Inf",
            _ => "-Inf",
        }
        .to_owned();
    }
    let scientific = format!("{value:e}");
    let Some((digits, exponent)) = scientific.split_once('e') else {
        return scientific;
    };
    match exponent.parse::<i32>() {
        Ok(-4..=5) => format!("{value}"),
        Ok(exponent) if exponent < 0 => format!("{digits}e-{:02}", -exponent),
        Ok(exponent) => format!("{digits}e+{exponent:02}"),
        Err(_) => scientific,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_go_writes_them() {
        for (given, expected) in [
            ("0", "0"),
            ("1.0", "1"),
            ("0.005", "0.005"),
            ("123456", "123456"),
            ("1234567", "1.234567e+06"),
            ("10000000.0", "1e+07"),
            ("1763744000.25", "1.76374400025e+09"),
            ("0.00001", "1e-05"),
            ("0.0001", "0.0001"),
            ("-3", "-3"),
            ("+Inf", "+Inf"),
            ("-Inf", "-Inf"),
            ("NaN", "NaN"),
        ] {
            assert_eq!(number(given), expected, "{given}");
        }
    }

    #[test]
    fn families_metrics_and_labels_are_in_order() {
        let given = r#"# HELP requests Requests.
# TYPE requests counter
requests_total{verb="PUT",code="200"} 2
requests_total{verb="GET",code="a \"}\\"} 1
# HELP durations_seconds Durations.
# TYPE durations_seconds histogram
# UNIT durations_seconds seconds
durations_seconds_sum{verb="GET"} 0.5
durations_seconds_count{verb="GET"} 2
durations_seconds_bucket{le="0.5",verb="GET"} 1
durations_seconds_bucket{le="10.0",verb="GET"} 2
durations_seconds_bucket{le="+Inf",verb="GET"} 2
# HELP nothing Of nothing.
# TYPE nothing gauge
# EOF
"#;
        let expected = r#"# HELP durations_seconds Durations.
# TYPE durations_seconds histogram
durations_seconds_bucket{verb="GET",le="0.5"} 1
durations_seconds_bucket{verb="GET",le="10"} 2
durations_seconds_bucket{verb="GET",le="+Inf"} 2
durations_seconds_sum{verb="GET"} 0.5
durations_seconds_count{verb="GET"} 2
# HELP requests_total Requests.
# TYPE requests_total counter
requests_total{code="200",verb="PUT"} 2
requests_total{code="a \"}\\",verb="GET"} 1
"#;
        assert_eq!(classic(given), expected);
    }
}
