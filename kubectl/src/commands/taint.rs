//! `kubectl taint`

use ferrule_apimachinery::names;
use ferrule_client::client::Patch;
use serde_json::{Value, json};

use super::select::{self, Found, Selection};
use super::write::{self, Report};
use crate::args::{DryRun, TaintArgs};
use crate::error::{Error, Result};
use crate::resources::{Resources, at};
use crate::session::Session;

/// Who writes, when nobody is named.
const MANAGER: &str = "kubectl-taint";
const EFFECTS: [&str; 3] = ["NoSchedule", "PreferNoSchedule", "NoExecute"];

/// A taint as it is written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Taint {
    key: String,
    /// Perhaps empty.
    value: String,
    /// Empty in a taint that is to go, whatever its effect.
    effect: String,
}

/// The changes of a node's taints.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Changes {
    add: Vec<Taint>,
    /// Without values.
    remove: Vec<Taint>,
}

/// Runs the command.
pub async fn run(session: &Session, args: &TaintArgs) -> Result<()> {
    let report = Report {
        // As upstream: the word for what was done takes the place of the dry run's.
        dry_run: DryRun::None,
        separate: false,
        ..Report::new(&args.write)?
    };
    write::options(&args.write, MANAGER)?;
    let (words, specs) = split(&args.words)?;
    let changes = Changes::read(&specs).map_err(|why| Error::usage("taint", why))?;
    nodes_only(session.resources().await?, words[0])?;
    changes.check()?;
    let selection = selection(args, &words)?;
    let names = match args.all || selection.labels.is_some() {
        true => &[],
        false => &words[1..],
    };
    let words: Vec<String> = ["node"]
        .iter()
        .chain(names)
        .map(|word| (*word).to_owned())
        .collect();
    let selection = Selection {
        words: &words,
        ..selection
    };
    let mut errors = Vec::new();
    for one in select::read(session, &selection, &mut errors).await? {
        if let Err(error) = taint(session, args, &changes, &one, &report).await {
            errors.push(error);
        }
    }
    Error::all(errors)
}

/// The resources, and the changes behind them.
fn split(words: &[String]) -> Result<(Vec<&str>, Vec<&str>)> {
    let is_change = |word: &str| word.contains(['=', ':']) || word.ends_with('-');
    let (mut resources, mut specs) = (Vec::new(), Vec::new());
    for word in words {
        match word.as_str() {
            word if is_change(word) => specs.push(word),
            word if specs.is_empty() => resources.push(word),
            word => {
                return Err(Error::local(format!(
                    "all resources must be specified before taint changes: {word}"
                )));
            }
        }
    }
    if resources.is_empty() {
        return Err(Error::local(
            "one or more resources must be specified as <resource> <name>",
        ));
    }
    if specs.is_empty() {
        return Err(Error::local("at least one taint update is required"));
    }
    Ok((resources, specs))
}

fn nodes_only(resources: &Resources, word: &str) -> Result<()> {
    let lower = word.to_lowercase();
    // Upstream says this without a word before it.
    let found = resources
        .find(&lower)
        .map_err(|error| Error::Plain(error.message()));
    if found?.kind == "Node" {
        return Ok(());
    }
    Err(Error::local(format!(
        "invalid resource type {lower}, only node types are supported"
    )))
}

fn selection<'a>(args: &'a TaintArgs, words: &[&str]) -> Result<Selection<'a>> {
    let labels = args.selector.as_deref().filter(|text| !text.is_empty());
    if args.all && labels.is_some() {
        return Err(Error::local(
            "setting 'all' parameter with a non empty selector is prohibited",
        ));
    }
    if !args.all && labels.is_none() && words.len() < 2 {
        return Err(Error::local(
            "at least one resource name must be specified since 'all' parameter is not set",
        ));
    }
    Ok(Selection {
        command: "taint",
        labels,
        all: args.all,
        ..Selection::default()
    })
}

async fn taint(
    session: &Session,
    args: &TaintArgs,
    changes: &Changes,
    one: &Found,
    report: &Report,
) -> Result<()> {
    let before = one.object["spec"]["taints"].as_array().cloned();
    let (after, done) = changes.apply(&before.unwrap_or_default(), &one.name, args.overwrite)?;
    let mut object = one.object.clone();
    if args.write.dry_run == DryRun::Client {
        match object["spec"].as_object_mut() {
            Some(spec) if after.is_empty() => {
                spec.remove("taints");
            }
            _ => object["spec"]["taints"] = json!(after),
        }
    } else {
        let taints = match after.as_slice() {
            [] => Value::Null,
            after => json!(after),
        };
        let patch = Patch::Strategic(json!({"spec": {"taints": taints}}));
        let options = write::options(&args.write, MANAGER)?;
        let place = at(&one.resource, "").name(&one.name);
        let answer = session.client.patch(&place, &patch, &options).await?;
        object = answer.parse()?;
    }
    report.print(&object, &one.resource, done)
}

impl Taint {
    /// Reads `key=value:effect`, `key:effect` or `key`.
    fn read(text: &str) -> std::result::Result<Taint, String> {
        let invalid = || format!("invalid taint spec: {text}");
        let (head, effect) = match text.split(':').collect::<Vec<_>>().as_slice() {
            [key] => return Taint::of(key, "", "", text),
            [head, effect] => (*head, *effect),
            _ => return Err(invalid()),
        };
        if !EFFECTS.contains(&effect) {
            return Err(format!(
                "invalid taint effect: {effect}, unsupported taint effect"
            ));
        }
        match head.split('=').collect::<Vec<_>>().as_slice() {
            [key] => Taint::of(key, "", effect, text),
            [key, value] => Taint::of(key, value, effect, text),
            _ => Err(invalid()),
        }
    }

    fn of(key: &str, value: &str, effect: &str, text: &str) -> std::result::Result<Taint, String> {
        for why in [names::label_value(value), names::qualified_name(key)] {
            if !why.is_empty() {
                return Err(format!("invalid taint spec: {text}, {}", why.join("; ")));
            }
        }
        Ok(Taint {
            key: key.to_owned(),
            value: value.to_owned(),
            effect: effect.to_owned(),
        })
    }

    /// Whether a node's taint has this key and effect; no effect is any.
    fn fits(&self, own: &Value) -> bool {
        own["key"] == self.key.as_str()
            && (self.effect.is_empty() || own["effect"] == self.effect.as_str())
    }

    fn value(&self) -> Value {
        let mut value = json!({"key": self.key, "effect": self.effect});
        if !self.value.is_empty() {
            value["value"] = json!(self.value);
        }
        value
    }

    /// `key:effect`, or `key`.
    fn name(&self) -> String {
        match self.effect.as_str() {
            "" => self.key.clone(),
            effect => format!("{}:{effect}", self.key),
        }
    }
}

impl Changes {
    /// Reads the words behind the nodes: taints to set, and with a hyphen at their end those to
    /// remove.
    pub fn read(specs: &[&str]) -> std::result::Result<Changes, String> {
        let mut changes = Changes::default();
        for spec in specs {
            if let Some(removed) = spec.strip_suffix('-') {
                changes.remove.push(Taint {
                    value: String::new(),
                    ..Taint::read(removed)?
                });
                continue;
            }
            let taint = Taint::read(spec)?;
            if taint.effect.is_empty() {
                return Err(format!("invalid taint spec: {spec}"));
            }
            let same = |own: &Taint| own.key == taint.key && own.effect == taint.effect;
            if changes.add.iter().any(same) {
                let Taint { key, value, effect } = taint;
                return Err(format!(
                    "duplicated taints with the same key and effect: {{{key} {value} {effect} <nil>}}"
                ));
            }
            changes.add.push(taint);
        }
        Ok(changes)
    }

    /// No taint is both set and removed.
    pub fn check(&self) -> Result<()> {
        let mut both = Vec::new();
        for add in &self.add {
            for remove in self.remove.iter().filter(|own| own.fits(&add.value())) {
                both.push(format!("{}={}", remove.key, remove.effect));
            }
        }
        if both.is_empty() {
            return Ok(());
        }
        Err(Error::local(format!(
            "can not both modify and remove the following taint(s) in the same command: {}",
            both.join(", ")
        )))
    }

    /// A node's taints after the changes, the new ones first, and the word for what was done.
    pub fn apply(
        &self,
        before: &[Value],
        node: &str,
        overwrite: bool,
    ) -> Result<(Vec<Value>, &'static str)> {
        let there = |taint: &&Taint| before.iter().any(|own| taint.fits(own));
        let taken: Vec<&str> = self
            .add
            .iter()
            .filter(there)
            .map(|own| own.key.as_str())
            .collect();
        if !overwrite && !taken.is_empty() {
            return Err(Error::local(format!(
                "node {node} already has {} taint(s) with same effect(s) and --overwrite is false",
                taken.join(",")
            )));
        }
        let kept = before
            .iter()
            .filter(|own| !self.add.iter().any(|taint| taint.fits(own)));
        let mut taints: Vec<Value> = self.add.iter().map(Taint::value).collect();
        taints.extend(kept.cloned());
        let added = taints.len() != before.len();
        let (mut removed, mut missing) = (false, Vec::new());
        for remove in &self.remove {
            let count = taints.len();
            taints.retain(|own| !remove.fits(own));
            removed = taints.len() != count;
            if !removed {
                missing.push(Error::local(format!("taint {:?} not found", remove.name())));
            }
        }
        if !missing.is_empty() {
            return Error::all(missing).map(|()| (taints, ""));
        }
        Ok(match (added, removed) {
            _ if overwrite => (taints, "modified"),
            (true, true) => (taints, "modified"),
            (true, false) => (taints, "tainted"),
            (false, _) => (taints, "untainted"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes(specs: &str) -> std::result::Result<Changes, String> {
        Changes::read(&specs.split(' ').collect::<Vec<_>>())
    }

    #[test]
    fn taints_are_added_replaced_and_removed() {
        let there = [json!({"key": "a", "value": "x", "effect": "NoSchedule"})];
        for (specs, overwrite, expected) in [
            ("b=y:NoExecute", false, Ok((2, "tainted"))),
            ("a=y:NoSchedule", true, Ok((1, "modified"))),
            ("a-", false, Ok((0, "untainted"))),
            ("a:NoSchedule-", false, Ok((0, "untainted"))),
            ("b:NoExecute a-", false, Ok((1, "modified"))),
            ("b-", false, Err("taint \"b\" not found")),
            (
                "b- c:NoExecute-",
                false,
                Err("[taint \"b\" not found, taint \"c:NoExecute\" not found]"),
            ),
            (
                "a=y:NoSchedule b:NoExecute",
                false,
                Err("node one already has a taint(s) with same effect(s) and --overwrite is false"),
            ),
        ] {
            let applied = changes(specs).unwrap().apply(&there, "one", overwrite);
            let applied = applied.map(|(taints, done)| (taints.len(), done));
            assert_eq!(
                applied.map_err(|error| error.message()),
                expected.map_err(str::to_owned),
                "{specs}"
            );
        }
    }

    #[test]
    fn new_taints_come_first() {
        let there = [json!({"key": "a", "effect": "NoSchedule"})];
        let (taints, _) = changes("b:NoExecute")
            .unwrap()
            .apply(&there, "one", false)
            .unwrap();
        let keys: Vec<&Value> = taints.iter().map(|taint| &taint["key"]).collect();
        assert_eq!(keys, ["b", "a"]);
    }

    #[test]
    fn specs_that_are_wrong_are_refused_with_a_reason() {
        for (specs, expected) in [
            (
                "a=b:Odd",
                "invalid taint effect: Odd, unsupported taint effect",
            ),
            ("a:-", "invalid taint effect: , unsupported taint effect"),
            ("a=b=c:NoSchedule", "invalid taint spec: a=b=c:NoSchedule"),
            ("a:b:NoSchedule", "invalid taint spec: a:b:NoSchedule"),
            ("a", "invalid taint spec: a"),
            (
                "a=b:NoSchedule a=c:NoSchedule",
                "duplicated taints with the same key and effect: {a c NoSchedule <nil>}",
            ),
        ] {
            assert_eq!(changes(specs).unwrap_err(), expected, "{specs}");
        }
        let both = changes("a=b:NoSchedule c:NoExecute a- c:NoExecute-").unwrap();
        assert_eq!(
            both.check().unwrap_err().message(),
            "can not both modify and remove the following taint(s) in the same command: a=, c=NoExecute"
        );
        assert!(
            changes("a=b:NoSchedule a:NoExecute-")
                .unwrap()
                .check()
                .is_ok()
        );
    }
}
