//! Rules of the kinds by which devices are offered and claimed: defaults, what is fixed, columns; the rest by schema.

use ferrule_apimachinery::field::FieldError;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::problems::Path;
use super::table::{self, Column, Row};
use super::tree::{Tree, child, fill_unset, items_mut};
use super::{Context, Rules, Strategy, meta};

/// Rules of DeviceClasses.
pub struct DeviceClass;

/// Rules of ResourceClaims.
pub struct ResourceClaim;

/// Rules of ResourceClaimTemplates.
pub struct ResourceClaimTemplate;

/// Rules of ResourceSlices.
pub struct ResourceSlice;

const CLAIMS: &[Column] = &[
    Column::NAME,
    Column::text("State", "Whether it has its devices, and who uses them."),
    Column::AGE,
];

const SLICES: &[Column] = &[
    Column::NAME,
    Column::text("Node", "Node that has the devices."),
    Column::text("Driver", "Driver that offers them."),
    Column::text("Pool", "Pool that they belong to."),
    Column::AGE,
];

impl Rules for DeviceClass {
    fn is_spaced(&self, json: &[u8]) -> bool {
        serde_json::from_slice::<Opaque<'_>>(json).is_ok_and(|class| class.has_blanks())
    }

    fn strategy(&self) -> Strategy {
        Strategy::GENERATION.cluster_wide()
    }

    /// Upstream keeps parameters as they were written: with other blanks they are others.
    fn prepare_update(&self, new: &mut Value, old: &Value, context: &Context<'_>) {
        self.strategy().keep(new, old);
        if context.respaced {
            meta::next_generation(new, old, true);
        }
    }

    fn columns(&self) -> &'static [Column] {
        table::NAME_AND_AGE
    }

    fn row(&self, object: &Value, now: Timestamp) -> Row {
        table::name_and_age(object, now)
    }
}

/// The parameters of a DeviceClass, as they were written.
#[derive(Deserialize)]
struct Opaque<'a> {
    #[serde(borrow)]
    spec: OpaqueSpec<'a>,
}

#[derive(Deserialize)]
struct OpaqueSpec<'a> {
    #[serde(borrow)]
    config: Vec<OpaqueConfig<'a>>,
}

#[derive(Deserialize)]
struct OpaqueConfig<'a> {
    #[serde(borrow)]
    opaque: Option<OpaqueParameters<'a>>,
}

#[derive(Deserialize)]
struct OpaqueParameters<'a> {
    #[serde(borrow)]
    parameters: Option<&'a RawValue>,
}

impl Opaque<'_> {
    fn has_blanks(&self) -> bool {
        let opaque = self.spec.config.iter().filter_map(|c| c.opaque.as_ref());
        opaque
            .filter_map(|opaque| opaque.parameters)
            .any(|parameters| has_blanks(parameters.get()))
    }
}

/// Whether JSON has blanks outside of its texts.
fn has_blanks(json: &str) -> bool {
    let (mut in_text, mut escaped) = (false, false);
    json.bytes().any(|byte| {
        let quote = byte == b'"' && !escaped;
        escaped = in_text && byte == b'\\' && !escaped;
        in_text ^= quote;
        !in_text && byte.is_ascii_whitespace()
    })
}

impl Rules for ResourceClaim {
    fn default(&self, object: &mut Value) {
        if let Some(spec) = child(object, "spec") {
            default_claim(spec);
        }
    }

    fn strategy(&self) -> Strategy {
        Strategy::BOTH
    }

    fn validate_update(&self, new: &Value, old: &Value, _context: &Context<'_>) -> Vec<FieldError> {
        let mut out = meta::validate_update(new, old);
        let path = Path::new("spec");
        meta::validate_immutable(&mut out, &path, new.at("spec"), old.at("spec"));
        out.into_errors()
    }

    fn columns(&self) -> &'static [Column] {
        CLAIMS
    }

    fn row(&self, object: &Value, now: Timestamp) -> Row {
        let deleted = object.at("metadata").has("deletionTimestamp");
        let status = object.at("status");
        let allocated = status.has("allocation");
        let states = [
            (deleted, "deleted"),
            (!deleted && !allocated, "pending"),
            (allocated, "allocated"),
            (
                allocated && !status.items("reservedFor").is_empty(),
                "reserved",
            ),
        ];
        let states: Vec<&str> = states
            .iter()
            .filter_map(|(is, state)| is.then_some(*state))
            .collect();
        vec![
            table::name(object),
            states.join(",").into(),
            table::age(object, now),
        ]
        .into()
    }
}

/// How many devices a request is for when it does not say so.
fn default_claim(spec: &mut Value) {
    let Some(devices) = spec.get_mut("devices") else {
        return;
    };
    for request in items_mut(devices, "requests") {
        if let Some(exactly) = request
            .get_mut("exactly")
            .filter(|exactly| exactly.is_object())
        {
            default_request(exactly);
        }
        for part in items_mut(request, "firstAvailable") {
            default_request(part);
        }
    }
}

fn default_request(request: &mut Value) {
    fill_unset(request, "allocationMode", "ExactCount");
    if request.text("allocationMode") == "ExactCount" {
        fill_unset(request, "count", 1);
    }
    for toleration in items_mut(request, "tolerations") {
        fill_unset(toleration, "operator", "Equal");
    }
}

impl Rules for ResourceClaimTemplate {
    fn default(&self, object: &mut Value) {
        if let Some(spec) = object.pointer_mut("/spec/spec") {
            default_claim(spec);
        }
    }

    fn strategy(&self) -> Strategy {
        Strategy::GENERATION
    }

    fn validate_update(&self, new: &Value, old: &Value, _context: &Context<'_>) -> Vec<FieldError> {
        let mut out = meta::validate_update(new, old);
        let path = Path::new("spec");
        meta::validate_immutable(&mut out, &path, new.at("spec"), old.at("spec"));
        out.into_errors()
    }

    fn columns(&self) -> &'static [Column] {
        table::NAME_AND_AGE
    }

    fn row(&self, object: &Value, now: Timestamp) -> Row {
        table::name_and_age(object, now)
    }
}

impl Rules for ResourceSlice {
    fn strategy(&self) -> Strategy {
        Strategy::GENERATION.cluster_wide()
    }

    fn validate_update(&self, new: &Value, old: &Value, _context: &Context<'_>) -> Vec<FieldError> {
        let mut out = meta::validate_update(new, old);
        let (path, after, before) = (Path::new("spec"), new.at("spec"), old.at("spec"));
        let driver = "driver";
        meta::validate_immutable(
            &mut out,
            &path.child(driver),
            after.at(driver),
            before.at(driver),
        );
        let (after_pool, before_pool) = (after.at("pool").at("name"), before.at("pool").at("name"));
        meta::validate_immutable(
            &mut out,
            &path.child("pool").child("name"),
            after_pool,
            before_pool,
        );
        let node = "nodeName";
        meta::validate_immutable(&mut out, &path.child(node), after.at(node), before.at(node));
        out.into_errors()
    }

    fn columns(&self) -> &'static [Column] {
        SLICES
    }

    fn row(&self, object: &Value, now: Timestamp) -> Row {
        let spec = object.at("spec");
        vec![
            table::name(object),
            spec.text("nodeName").into(),
            spec.text("driver").into(),
            spec.at("pool").text("name").into(),
            table::age(object, now),
        ]
        .into()
    }
}
