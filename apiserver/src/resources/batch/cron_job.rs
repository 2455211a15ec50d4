//! Rules of CronJobs, which make Jobs at given times.

use ferrule_apimachinery::field::FieldError;
use jiff::Timestamp;
use serde_json::Value;

use super::{schedule, validation};
use crate::resources::pod::{defaults, warnings};
use crate::resources::problems::{Path, Problems};
use crate::resources::table::{self, Column, Row, or_none};
use crate::resources::tree::{Tree, child, fill, fill_unset};
use crate::resources::workload::containers_and_images;
use crate::resources::{Context, Rules, Strategy, go_form, meta, selector};

/// Rules of CronJobs.
pub struct CronJob;

const COLUMNS: &[Column] = &[
    Column::NAME,
    Column::text("Schedule", "When it makes Jobs, in the form of cron."),
    Column::text("Timezone", "Where it is that time."),
    Column {
        kind: "boolean",
        ..Column::text("Suspend", "Whether it makes no Jobs for now.")
    },
    Column::integer("Active", "Jobs that run."),
    Column::text("Last Schedule", "Time since it last made a Job."),
    Column::AGE,
    Column::text("Containers", "Names of the template's containers.").wide(),
    Column::text("Images", "Images of the template's containers.").wide(),
    Column::text("Selector", "Which pods belong to it.").wide(),
];

/// Names of Jobs get eleven characters more.
const MAX_NAME: usize = 52;

impl Rules for CronJob {
    fn default(&self, object: &mut Value) {
        let Some(spec) = child(object, "spec") else {
            return;
        };
        fill_unset(spec, "concurrencyPolicy", "Allow");
        fill(spec, "suspend", false);
        fill(spec, "successfulJobsHistoryLimit", 3);
        fill(spec, "failedJobsHistoryLimit", 1);
        if let Some(job) = child(spec, "jobTemplate")
            && let Some(spec) = child(job, "spec")
        {
            super::default_failure_policy(spec);
            if let Some(template) = child(spec, "template") {
                defaults::default_template(template);
            }
        }
    }

    fn strategy(&self) -> Strategy {
        Strategy::BOTH
    }

    fn validate_create(&self, new: &Value, _context: &Context<'_>) -> Vec<FieldError> {
        let mut out = meta::validate_create(new, true, self.name_rule());
        validate_spec(&mut out, new.at("spec"), None);
        let name = new.at("metadata").text("name");
        if name.len() > MAX_NAME {
            let detail = format!("must be no more than {MAX_NAME} characters");
            out.invalid(&Path::new("metadata").child("name"), name, &detail);
        }
        out.into_errors()
    }

    fn validate_update(&self, new: &Value, old: &Value, _context: &Context<'_>) -> Vec<FieldError> {
        let mut out = meta::validate_update(new, old);
        validate_spec(&mut out, new.at("spec"), Some(old.at("spec")));
        out.into_errors()
    }

    fn validate_status(&self, new: &Value, old: &Value, _context: &Context<'_>) -> Vec<FieldError> {
        meta::validate_update_once(new, old).into_errors()
    }

    fn warnings(&self, new: &Value, old: Option<&Value>) -> Vec<String> {
        let way = ["spec", "jobTemplate", "spec", "template"];
        warnings::of_maker(new, old, Some("Pod names and hostnames"), &way)
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn row(&self, object: &Value, now: Timestamp) -> Row {
        let (spec, status) = (object.at("spec"), object.at("status"));
        let job = spec.at("jobTemplate").at("spec");
        let [containers, images] = containers_and_images(job.at("template"));
        let suspended = match spec.opt_flag("suspend") {
            None => "<unset>",
            Some(true) => "True",
            Some(false) => "False",
        };
        let last = match status.text("lastScheduleTime") {
            "" => "<none>".to_owned(),
            time => table::since(time, now),
        };
        vec![
            table::name(object),
            spec.text("schedule").into(),
            or_none(spec.text("timeZone")).into(),
            suspended.into(),
            status.items("active").len().into(),
            last.into(),
            table::age(object, now),
            containers,
            images,
            or_none(&selector::to_text(job.at("selector"))).into(),
        ]
        .into()
    }
}

fn validate_spec(out: &mut Problems, spec: &Value, old: Option<&Value>) {
    let path = Path::new("spec");
    let (at, when) = (path.child("schedule"), spec.text("schedule"));
    if when.is_empty() {
        out.required(&at, "");
    } else {
        let had_zone = old.is_some_and(|old| old.text("schedule").contains("TZ"));
        validate_schedule(out, &at, when, had_zone, spec.has("timeZone"));
    }
    let at = path.child("startingDeadlineSeconds");
    out.non_negative(&at, spec.int("startingDeadlineSeconds"));
    if old.is_none_or(|old| old.at("timeZone") != spec.at("timeZone"))
        && let Some(zone) = spec.opt_text("timeZone")
        && let Some(why) = schedule::wrong_zone(zone)
    {
        out.invalid(&path.child("timeZone"), zone, &why);
    }
    let (at, known) = (
        path.child("concurrencyPolicy"),
        ["Allow", "Forbid", "Replace"],
    );
    match spec.text("concurrencyPolicy") {
        "" => out.required(&at, ""),
        policy if !known.contains(&policy) => out.unsupported(&at, policy, &known),
        _ => {}
    }
    let (at, job) = (
        path.child("jobTemplate").child("spec"),
        spec.at("jobTemplate").at("spec"),
    );
    validation::validate_spec(out, &at, job);
    if job.has("selector") {
        let shown = go_form::label_selector(job.at("selector"));
        out.invalid_raw(
            &at.child("selector"),
            shown,
            "`selector` will be auto-generated",
        );
    }
    if job.flag("manualSelector") {
        out.unsupported(
            &at.child("manualSelector"),
            &Value::Bool(true),
            &["nil", "false"],
        );
    }
    for name in ["successfulJobsHistoryLimit", "failedJobsHistoryLimit"] {
        out.non_negative(&path.child(name), spec.int(name));
    }
}

fn validate_schedule(out: &mut Problems, path: &Path, when: &str, had_zone: bool, zoned: bool) {
    if let Err(why) = schedule::check(when) {
        out.invalid(path, when, &why);
    }
    if !when.contains("TZ") {
        return;
    }
    if !had_zone {
        let detail = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead";
        out.invalid(path, when, detail);
    } else if zoned {
        let detail = "cannot use both timeZone field and TZ or CRON_TZ in schedule";
        out.invalid(path, when, detail);
    }
}
