//! `kubectl auth reconcile`: roles and bindings get what their files say, and keep what they have
//! besides.

use ferrule_apimachinery::scheme::gvr;
use ferrule_apimachinery::status::Status;
use ferrule_client::client::DeleteOptions;
use ferrule_client::{At, WriteOptions};
use ferrule_proto::v1::ApiResource;
use serde_json::{Map, Value, json};

use super::super::warn;
use super::super::write::Report;
use super::rules;
use crate::args::{DryRun, ReconcileArgs};
use crate::error::{Error, Result};
use crate::files::{self, FromFile};
use crate::resources::{at, offline};
use crate::session::Session;

const GROUP: &str = "rbac.authorization.k8s.io";
/// An object with the value `false` is left as it is.
const AUTO_UPDATE: &str = "rbac.authorization.kubernetes.io/autoupdate";
/// How often an object that comes and goes is tried.
const TRIES: usize = 3;

/// What is done to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    None,
    Create,
    Update,
    /// A binding of another role cannot be changed.
    Recreate,
}

impl Operation {
    fn word(self) -> &'static str {
        match self {
            Operation::None => "none",
            Operation::Create => "create",
            Operation::Update => "update",
            Operation::Recreate => "recreate",
        }
    }
}

/// What an object becomes.
#[derive(Debug)]
struct Plan {
    object: Value,
    operation: Operation,
    /// What the file says and the object did not have.
    missing: Vec<Value>,
    /// What only the object has.
    extra: Vec<Value>,
    /// It asks to be left as it is.
    protected: bool,
    /// The uid of the object that is there.
    uid: Option<String>,
}

/// Runs the command.
pub async fn run(session: &Session, args: &ReconcileArgs) -> Result<()> {
    if args.files.is_empty() {
        return Err(Error::local("must specify one of -f and -k"));
    }
    if !args.words.is_empty() {
        return Err(Error::local("no arguments are allowed"));
    }
    if args.dry_run == DryRun::Server {
        return Err(Error::local(
            "--dry-run=server for command reconcile is not supported yet",
        ));
    }
    let report = Report {
        typed: true,
        ..Report::of(&args.print, args.dry_run)?
    };
    let mut errors = Vec::new();
    for file in files::read(&args.files, "reconcile")? {
        if let Err(error) = one(session, args, &file, &report).await {
            errors.push(error);
        }
    }
    Error::all(errors)
}

async fn one(
    session: &Session,
    args: &ReconcileArgs,
    file: &FromFile,
    report: &Report,
) -> Result<()> {
    let wanted = file.object.clone();
    let text = |field: &str| wanted[field].as_str().unwrap_or_default().to_owned();
    let (api_version, kind) = (text("apiVersion"), text("kind"));
    let is_binding = match kind.as_str() {
        "Role" | "ClusterRole" => false,
        "RoleBinding" | "ClusterRoleBinding" => true,
        _ => return Ok(()),
    };
    match api_version.split_once('/') {
        Some((GROUP, "v1")) => {}
        Some((GROUP, version)) => {
            return Err(Error::local(format!(
                "only {GROUP}/v1 is supported: not *{version}.{kind}"
            )));
        }
        _ => return Ok(()),
    }
    let resource = offline(&wanted);
    // As upstream: what no file names is in no namespace, whatever the command's is.
    let namespace = wanted["metadata"]["namespace"].as_str().unwrap_or_default();
    let namespace = namespace.to_owned();
    let plan = settle(session, args, &resource, &namespace, &wanted, is_binding).await?;
    report.print(&plan.object, &resource, "reconciled")?;
    tell(&plan, args, is_binding);
    Ok(())
}

/// Plans and does it, again when somebody else made or deleted the object meanwhile.
async fn settle(
    session: &Session,
    args: &ReconcileArgs,
    resource: &ApiResource,
    namespace: &str,
    wanted: &Value,
    is_binding: bool,
) -> Result<Plan> {
    let name = wanted["metadata"]["name"].as_str().unwrap_or_default();
    let place = at(resource, namespace).name(name);
    for _ in 0..TRIES {
        let nowhere = resource.namespaced && namespace.is_empty();
        let mut plan = match session.client.get(&place).await {
            _ if nowhere => new(wanted, is_binding),
            Ok(object) => match is_binding {
                true => binding(&object.parse()?, wanted, args.remove_extra_subjects),
                false => role(&object.parse()?, wanted, args.remove_extra_permissions),
            },
            Err(status) if status.is_not_found() => new(wanted, is_binding),
            Err(status) => return Err(status.into()),
        };
        if plan.protected || args.dry_run == DryRun::Client {
            return Ok(plan);
        }
        if nowhere {
            return Err(Error::local("resource name may not be empty"));
        }
        match carry_out(session, resource, namespace, &place, &plan).await {
            Ok(object) => {
                plan.object = object.unwrap_or(plan.object);
                return Ok(plan);
            }
            Err(status) if status.is_already_exists() || status.is_not_found() => {}
            Err(status) if status.is_conflict() && plan.operation == Operation::Recreate => {}
            Err(status) => return Err(status.into()),
        }
    }
    Err(Error::local("exceeded maximum attempts"))
}

async fn carry_out(
    session: &Session,
    resource: &ApiResource,
    namespace: &str,
    place: &At,
    plan: &Plan,
) -> std::result::Result<Option<Value>, Status> {
    let options = WriteOptions {
        field_manager: "kubectl".to_owned(),
        ..WriteOptions::default()
    };
    let text = plan.object.to_string();
    match plan.operation {
        Operation::None => return Ok(None),
        Operation::Update => {
            let answer = session.client.update(place, text, &options).await?;
            return answer.parse().map(Some);
        }
        Operation::Recreate => {
            let this = DeleteOptions {
                uid: plan.uid.clone(),
                ..DeleteOptions::default()
            };
            match session.client.delete(place, &this).await {
                Err(status) if !status.is_not_found() => return Err(status),
                _ => {}
            }
        }
        Operation::Create => {}
    }
    if resource.namespaced {
        ensure(session, namespace, &options).await?;
    }
    let place = at(resource, namespace);
    let answer = session.client.create(&place, text, &options).await?;
    answer.parse().map(Some)
}

/// Makes the namespace when it is not there.
async fn ensure(
    session: &Session,
    namespace: &str,
    options: &WriteOptions,
) -> std::result::Result<(), Status> {
    let place = At::of(gvr::NAMESPACES);
    match session.client.get(&place.clone().name(namespace)).await {
        Ok(_) => return Ok(()),
        Err(status) if status.is_not_found() => {}
        Err(status) => return Err(status),
    }
    let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
    match session
        .client
        .create(&place, object.to_string(), options)
        .await
    {
        Err(status) if !status.is_already_exists() => Err(status),
        _ => Ok(()),
    }
}

fn new(wanted: &Value, is_binding: bool) -> Plan {
    let field = if is_binding { "subjects" } else { "rules" };
    Plan {
        object: wanted.clone(),
        operation: Operation::Create,
        missing: list(wanted, field),
        extra: Vec::new(),
        protected: false,
        uid: None,
    }
}

fn list(object: &Value, field: &str) -> Vec<Value> {
    object[field].as_array().cloned().unwrap_or_default()
}

/// The object with the labels and annotations of its file, where it has none of the name itself.
fn merged(existing: &Value, wanted: &Value) -> Plan {
    let mut object = existing.clone();
    for field in ["labels", "annotations"] {
        let mut all: Map<String, Value> = Map::new();
        for own in [wanted, existing] {
            all.extend(
                own["metadata"][field]
                    .as_object()
                    .cloned()
                    .unwrap_or_default(),
            );
        }
        if !all.is_empty() {
            object["metadata"][field] = Value::Object(all);
        }
    }
    let operation = match object == *existing {
        true => Operation::None,
        false => Operation::Update,
    };
    Plan {
        object,
        operation,
        missing: Vec::new(),
        extra: Vec::new(),
        protected: existing["metadata"]["annotations"][AUTO_UPDATE] == "false",
        uid: existing["metadata"]["uid"].as_str().map(str::to_owned),
    }
}

/// What a role becomes; with `only` it keeps no rules but those of its file.
fn role(existing: &Value, wanted: &Value, only: bool) -> Plan {
    let mut plan = merged(existing, wanted);
    let (own, expected) = (list(existing, "rules"), list(wanted, "rules"));
    let aggregated = |object: &Value| object["aggregationRule"].is_object();
    if !aggregated(existing) || !aggregated(wanted) {
        plan.extra = rules::uncovered(&expected, &own);
    }
    plan.missing = rules::uncovered(&own, &expected);
    take(&mut plan, "rules", own, expected, only);
    aggregate(&mut plan, existing, wanted, only);
    plan
}

/// Adds what is missing, or takes the file's list as it is.
fn take(plan: &mut Plan, field: &str, own: Vec<Value>, expected: Vec<Value>, only: bool) {
    let list = match (only, plan.missing.is_empty(), plan.extra.is_empty()) {
        (false, false, _) => own
            .into_iter()
            .chain(plan.missing.iter().cloned())
            .collect(),
        (true, false, _) | (true, _, false) => expected,
        _ => return,
    };
    plan.object[field] = Value::Array(list);
    plan.operation = Operation::Update;
}

/// The same for the selectors of roles that are put together of others.
fn aggregate(plan: &mut Plan, existing: &Value, wanted: &Value, only: bool) {
    let selectors = |object: &Value| list(&object["aggregationRule"], "clusterRoleSelectors");
    let (own, expected) = (selectors(existing), selectors(wanted));
    let without = |list: &[Value], other: &[Value]| -> Vec<Value> {
        list.iter()
            .filter(|one| !other.contains(one))
            .cloned()
            .collect()
    };
    let (missing, extra) = (without(&expected, &own), without(&own, &expected));
    let is_there = existing["aggregationRule"].is_object();
    if is_there && !wanted["aggregationRule"].is_object() {
        if let Some(object) = plan.object.as_object_mut() {
            object.remove("aggregationRule");
        }
    } else if !only && !missing.is_empty() {
        let all: Vec<Value> = own.into_iter().chain(missing).collect();
        plan.object["aggregationRule"] = json!({"clusterRoleSelectors": all});
    } else if only && !(missing.is_empty() && extra.is_empty()) {
        plan.object["aggregationRule"] = wanted["aggregationRule"].clone();
    } else {
        return;
    }
    plan.operation = Operation::Update;
}

/// What a binding becomes; with `only` it keeps no subjects but those of its file.
fn binding(existing: &Value, wanted: &Value, only: bool) -> Plan {
    let mut plan = merged(existing, wanted);
    if existing["roleRef"] != wanted["roleRef"] {
        plan.object = wanted.clone();
        plan.operation = Operation::Recreate;
        return plan;
    }
    let (own, expected) = (list(existing, "subjects"), list(wanted, "subjects"));
    let without = |list: &[Value], other: &[Value]| {
        let mut found: Vec<Value> = Vec::new();
        for one in list.iter().filter(|one| !other.contains(one)) {
            if !found.contains(one) {
                found.push(one.clone());
            }
        }
        found
    };
    plan.missing = without(&expected, &own);
    plan.extra = without(&own, &expected);
    take(&mut plan, "subjects", own, expected, only);
    plan
}

/// Says what was needed.
fn tell(plan: &Plan, args: &ReconcileArgs, is_binding: bool) {
    if plan.operation == Operation::None {
        return;
    }
    let caveat = match plan.protected {
        true => format!(", but object opted out ({AUTO_UPDATE}: false)"),
        false => String::new(),
    };
    let word = plan.operation.word();
    warn(&format!("\treconciliation required {word}{caveat}"));
    let (noun, removes) = match is_binding {
        true => ("subjects", args.remove_extra_subjects),
        false => ("rules", args.remove_extra_permissions),
    };
    let lists = [
        (format!("missing {noun} added"), &plan.missing, true),
        (format!("extra {noun} removed"), &plan.extra, removes),
    ];
    for (title, list, _) in lists
        .iter()
        .filter(|(_, list, told)| *told && !list.is_empty())
    {
        warn(&format!("\t{title}:"));
        for one in list.iter() {
            let text = match is_binding {
                true => subject(one),
                false => rules::shown(one),
            };
            warn(&format!("\t\t{text}"));
        }
    }
}

/// A subject as Go prints it.
fn subject(subject: &Value) -> String {
    let text = |field: &str| subject[field].as_str().unwrap_or_default();
    format!(
        "{{Kind:{} APIGroup:{} Name:{} Namespace:{}}}",
        text("kind"),
        text("apiGroup"),
        text("name"),
        text("namespace")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(verb: &str) -> Value {
        json!({"apiGroups": [""], "resources": ["pods"], "verbs": [verb]})
    }

    #[test]
    fn a_role_gets_what_it_lacks_and_loses_the_rest_only_when_asked() {
        let existing = json!({"metadata": {"labels": {"a": "1"}}, "rules": [rule("get")]});
        let wanted = json!({"metadata": {}, "rules": [rule("list")]});
        let plan = role(&existing, &wanted, false);
        assert_eq!(plan.operation, Operation::Update);
        assert_eq!(plan.object["rules"], json!([rule("get"), rule("list")]));
        assert_eq!(plan.object["metadata"]["labels"]["a"], "1");
        let plan = role(&existing, &wanted, true);
        assert_eq!(plan.object["rules"], json!([rule("list")]));
        assert_eq!(plan.extra, [rule("get")]);
        assert_eq!(role(&existing, &existing, true).operation, Operation::None);
    }

    #[test]
    fn labels_of_a_file_are_added_and_change_none_that_is_there() {
        let existing = json!({"metadata": {"labels": {"a": "1"}}});
        let wanted = json!({"metadata": {"labels": {"a": "2", "b": "3"}}});
        let plan = role(&existing, &wanted, false);
        assert_eq!(
            plan.object["metadata"]["labels"],
            json!({"a": "1", "b": "3"})
        );
        assert_eq!(plan.operation, Operation::Update);
    }

    #[test]
    fn a_role_that_opted_out_is_protected() {
        let annotations = json!({AUTO_UPDATE: "false"});
        let existing = json!({"metadata": {"annotations": annotations}, "rules": []});
        assert!(role(&existing, &json!({"rules": [rule("get")]}), false).protected);
    }

    #[test]
    fn a_binding_of_another_role_is_made_anew() {
        let binding_of = |role: &str, user: &str| json!({"roleRef": {"name": role}, "subjects": [{"kind": "User", "name": user}]});
        let existing = binding_of("r", "u");
        let plan = binding(&existing, &binding_of("r", "v"), false);
        assert_eq!(plan.operation, Operation::Update);
        assert_eq!(plan.object["subjects"].as_array().map(Vec::len), Some(2));
        let plan = binding(&existing, &binding_of("r", "v"), true);
        assert_eq!(plan.object["subjects"], binding_of("r", "v")["subjects"]);
        let plan = binding(&existing, &binding_of("s", "u"), false);
        assert_eq!(plan.operation, Operation::Recreate);
    }
}
