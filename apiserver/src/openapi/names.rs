//! How definitions are called: `io.k8s.api.apps.v1.Deployment`.

use ferrule_apimachinery::schema::{Kind, Schema, Type, TypeId};

/// What a document defines: a type of the table, or one with a JSON form of its own.
#[derive(Clone, Copy, Debug)]
pub(super) enum Definition {
    /// A type of the table.
    Type(TypeId),
    /// A type that the table does not take apart.
    Opaque(&'static Opaque),
}

/// A type with a JSON form of its own.
#[derive(Debug)]
pub(super) struct Opaque {
    /// Its last name, by which fields refer to it.
    own: &'static str,
    /// Its full name.
    pub(super) name: &'static str,
    /// What it looks like in JSON.
    pub(super) form: Form,
}

/// What an opaque type looks like in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Anything.
    Any,
    /// An object with fields of any name.
    Object,
    /// A text in that format.
    Text(&'static str),
    /// A text, or a number of that JSON type, under that format.
    TextOr(&'static str, &'static str),
}

const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1";

macro_rules! opaque {
    ($($own:literal $name:literal $form:expr;)*) => {
        &[$(Opaque { own: $own, name: $name, form: $form }),*]
    };
}

static OPAQUE: &[Opaque] = opaque! {
    "Quantity" "io.k8s.apimachinery.pkg.api.resource.Quantity" Form::TextOr("number", "");
    "IntOrString" "io.k8s.apimachinery.pkg.util.intstr.IntOrString" Form::TextOr("integer", "int-or-string");
    "Time" "io.k8s.apimachinery.pkg.apis.meta.v1.Time" Form::Text("date-time");
    "MicroTime" "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime" Form::Text("date-time");
    "FieldsV1" "io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1" Form::Object;
    "Patch" "io.k8s.apimachinery.pkg.apis.meta.v1.Patch" Form::Object;
    "RawExtension" "io.k8s.apimachinery.pkg.runtime.RawExtension" Form::Object;
    "Info" "io.k8s.apimachinery.pkg.version.Info" Form::Object;
    "CustomResourceSubresourceStatus" "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceSubresourceStatus" Form::Object;
    "JSON" "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSON" Form::Any;
    "JSONSchemaPropsOrArray" "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrArray" Form::Any;
    "JSONSchemaPropsOrBool" "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrBool" Form::Any;
    "JSONSchemaPropsOrStringArray" "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrStringArray" Form::Any;
};

/// The opaque type of that last name.
pub(super) fn opaque(own: &str) -> Option<Definition> {
    let found = OPAQUE.iter().find(|opaque| opaque.own == own);
    found.map(Definition::Opaque)
}

/// The definition that a value of this kind refers to, behind lists and maps. `go_type` is how the
/// field is declared.
pub(super) fn referred(kind: &Kind, go_type: &str) -> Option<Definition> {
    match kind {
        Kind::List(element) | Kind::Map(element) => referred(element, go_type),
        Kind::Struct(id) => Some(Definition::Type(*id)),
        Kind::Quantity => opaque("Quantity"),
        Kind::IntOrString => opaque("IntOrString"),
        Kind::Time => opaque("Time"),
        Kind::MicroTime => opaque("MicroTime"),
        Kind::Any => match last_name(go_type) {
            "JSONSchemaDependencies" => opaque("JSONSchemaPropsOrStringArray"),
            name => opaque(name),
        },
        _ => None,
    }
}

/// `Protocol` of `[]v1.Protocol`.
pub(super) fn last_name(go_type: &str) -> &str {
    let after = |c| c == '.' || c == ']';
    go_type.rsplit(after).next().unwrap_or_default()
}

/// The full name of a definition.
pub(super) fn name(schema: &Schema, definition: Definition) -> String {
    match definition {
        Definition::Opaque(opaque) => opaque.name.to_owned(),
        Definition::Type(id) => type_name(schema.get(id)),
    }
}

fn type_name(ty: &Type) -> String {
    let (group, version) = ty
        .api_version
        .split_once('/')
        .unwrap_or((ty.api_version, "v1"));
    match group {
        "meta" => format!("{META}.{}", ty.name),
        "apiextensions.k8s.io" => format!(
            "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.{version}.{}",
            ty.name
        ),
        "apiregistration.k8s.io" => format!(
            "io.k8s.kube-aggregator.pkg.apis.apiregistration.{version}.{}",
            ty.name
        ),
        // `rbac` of `rbac.authorization.k8s.io`.
        _ => {
            let package = group.split('.').next().unwrap_or(group);
            format!("io.k8s.api.{package}.{version}.{}", ty.name)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_named_after_upstreams_packages() {
        let schema = Schema::builtin();
        for (ty, expected) in [
            ("core/v1.Pod", "io.k8s.api.core.v1.Pod"),
            (
                "rbac.authorization.k8s.io/v1.Role",
                "io.k8s.api.rbac.v1.Role",
            ),
            (
                "meta/v1.ObjectMeta",
                "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta",
            ),
            (
                "apiregistration.k8s.io/v1.APIService",
                "io.k8s.kube-aggregator.pkg.apis.apiregistration.v1.APIService",
            ),
        ] {
            let id = schema.type_id(ty).unwrap();
            assert_eq!(name(schema, Definition::Type(id)), expected);
        }
    }

    #[test]
    fn fields_refer_to_types_behind_lists_and_maps() {
        let schema = Schema::builtin();
        let props = schema
            .type_id("apiextensions.k8s.io/v1.JSONSchemaProps")
            .unwrap();
        for (field, expected) in [
            ("default", Some("JSON")),
            ("enum", Some("JSON")),
            ("items", Some("JSONSchemaPropsOrArray")),
            ("dependencies", Some("JSONSchemaPropsOrStringArray")),
            ("properties", Some("JSONSchemaProps")),
            ("title", None),
        ] {
            let field = schema.field(props, field).unwrap();
            let found = referred(&field.kind, &field.go_type).map(|own| name(schema, own));
            let found = found.as_deref().and_then(|name| name.rsplit('.').next());
            assert_eq!(found, expected, "{}", field.name);
        }
    }
}
