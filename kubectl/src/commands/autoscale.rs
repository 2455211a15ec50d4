//! `kubectl autoscale`

use ferrule_apimachinery::quantity::Quantity;
use serde_json::{Value, json};

use super::select::{self, Selection};
use super::write::{self, Report};
use crate::args::{AutoscaleArgs, DryRun};
use crate::error::{Error, Result};
use crate::resources::{api_version, at};
use crate::session::Session;

const MANAGER: &str = "kubectl-autoscale";

/// Runs the command.
pub async fn run(session: &Session, args: &AutoscaleArgs) -> Result<()> {
    let Some(most) = args.max else {
        return Err(Error::local("required flag(s) \"max\" not set"));
    };
    if most < 1 {
        return Err(Error::local(format!(
            "--max=MAXPODS is required and must be at least 1, max: {most}"
        )));
    }
    if most < args.min {
        let least = args.min;
        return Err(Error::local(format!(
            "--max=MAXPODS must be larger or equal to --min=MINPODS, max: {most}, min: {least}"
        )));
    }
    let metrics = metrics(args)?;
    let report = Report::typed(&args.write)?;
    let selection = Selection {
        command: "autoscale",
        words: &args.words,
        files: Some(&args.files),
        ..Selection::default()
    };
    let resources = session.resources().await?;
    let autoscalers = resources.of_kind("autoscaling/v2", "HorizontalPodAutoscaler");
    let autoscalers = autoscalers.ok_or_else(|| {
        Error::local("the server doesn't have a resource type \"horizontalpodautoscalers\"")
    })?;
    let mut errors = Vec::new();
    let mut count = 0;
    for one in select::read(session, &selection, &mut errors).await? {
        if !one.resource.subresources.iter().any(|own| own == "scale") {
            let kind = &one.resource.kind;
            return Err(Error::local(format!(
                "cannot autoscale a {kind}: the server could not find the requested resource"
            )));
        }
        let name = args
            .name
            .as_ref()
            .filter(|name| !name.is_empty())
            .unwrap_or(&one.name);
        let mut object = json!({
            "apiVersion": "autoscaling/v2",
            "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": name},
            "spec": {
                "scaleTargetRef": {
                    "apiVersion": api_version(&one.resource),
                    "kind": one.resource.kind,
                    "name": one.name,
                },
                "maxReplicas": most,
            },
            "status": {"currentMetrics": null, "desiredReplicas": 0},
        });
        if args.min > 0 {
            object["spec"]["minReplicas"] = json!(args.min);
        }
        if !metrics.is_empty() {
            object["spec"]["metrics"] = json!(metrics);
        }
        write::record(&mut object, &args.write);
        count += 1;
        if args.write.dry_run == DryRun::Client {
            report.print(&object, autoscalers, "created")?;
            continue;
        }
        if args.write.save_config {
            super::apply::annotate(&mut object);
        }
        if let Some(map) = object.as_object_mut() {
            map.remove("status");
        }
        let options = write::options(&args.write, MANAGER)?;
        let place = at(autoscalers, &session.namespace);
        let created = session
            .client
            .create(&place, object.to_string(), &options)
            .await?;
        let object: Value = created.parse()?;
        report.print(&object, autoscalers, "autoscaled")?;
    }
    if count == 0 && errors.is_empty() {
        return Err(Error::local("no objects passed to autoscale"));
    }
    Error::all(errors)
}

/// What the flags want to be measured.
fn metrics(args: &AutoscaleArgs) -> Result<Vec<Value>> {
    let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    if args.cpu_percent >= 0 {
        super::warn(
            "Flag --cpu-percent has been deprecated, Use --cpu with percentage or resource quantity format (e.g., '70%' for utilization or '500m' for milliCPU).",
        );
        if args.cpu.is_some() {
            return Err(Error::local(
                "--cpu and --cpu-percent cannot be used together",
            ));
        }
    }
    let cpu = match args.cpu_percent {
        percent if percent >= 0 => Some(format!("{percent}%")),
        _ => given(&args.cpu),
    };
    let mut found = Vec::new();
    for (name, amount) in [("cpu", cpu), ("memory", given(&args.memory))] {
        let Some(amount) = amount else {
            continue;
        };
        let target = match amount.strip_suffix('%') {
            Some(percent) => {
                let percent: i32 = percent.parse().map_err(|_| {
                    Error::local(format!(
                        "failed to parse {name} metric target: failed to parse percentage: strconv.ParseInt: parsing {percent:?}: invalid syntax"
                    ))
                })?;
                json!({"type": "Utilization", "averageUtilization": percent})
            }
            None => {
                let quantity = Quantity::parse(&amount).map_err(|error| {
                    Error::local(format!(
                        "failed to parse {name} metric target: invalid {name} value: {error}"
                    ))
                })?;
                json!({"type": "AverageValue", "averageValue": quantity.to_string()})
            }
        };
        found.push(json!({"type": "Resource", "resource": {"name": name, "target": target}}));
    }
    Ok(found)
}
