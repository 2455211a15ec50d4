//! Rules of ServiceCIDRs: the ranges that addresses of Services come from.

use ferrule_apimachinery::field::FieldError;
use jiff::Timestamp;
use serde_json::Value;

use crate::resources::meta::NameRule;
use crate::resources::problems::{Path, Problems};
use crate::resources::table::{self, Column, Row};
use crate::resources::tree::Tree;
use crate::resources::{Context, Rules, Strategy, format, go_form, meta};

/// Rules of ServiceCIDRs.
pub struct ServiceCidr;

const IMMUTABLE: &str = "field is immutable";

const COLUMNS: &[Column] = &[
    Column::NAME,
    Column::text("CIDRs", "The ranges, one for each family."),
    Column::AGE,
];

impl Rules for ServiceCidr {
    fn strategy(&self) -> Strategy {
        Strategy::BOTH.cluster_wide()
    }

    fn validate_create(&self, new: &Value, _context: &Context<'_>) -> Vec<FieldError> {
        let mut out = meta::validate_create(new, false, NameRule::Subdomain);
        validate_ranges(&mut out, new.at("spec"));
        out.into_errors()
    }

    fn validate_update(&self, new: &Value, old: &Value, _context: &Context<'_>) -> Vec<FieldError> {
        let mut out = meta::validate_update(new, old);
        let path = Path::new("spec").child("cidrs");
        let (after, before) = (new.at("spec").items("cidrs"), old.at("spec").items("cidrs"));
        let grows = before.len() == 1 && after.len() == 2;
        if after.len() != before.len() && !grows {
            out.invalid(&path, new.at("spec").at("cidrs"), IMMUTABLE);
            return out.into_errors();
        }
        for (i, (after, before)) in after.iter().zip(before).enumerate() {
            if after != before {
                out.invalid(&path.index(i), after, IMMUTABLE);
            }
        }
        if grows {
            validate_ranges(&mut out, new.at("spec"));
        }
        out.into_errors()
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn row(&self, object: &Value, now: Timestamp) -> Row {
        let ranges = object.at("spec").items("cidrs").iter();
        let ranges: Vec<&str> = ranges.filter_map(Value::as_str).collect();
        vec![
            table::name(object),
            ranges.join(",").into(),
            table::age(object, now),
        ]
        .into()
    }
}

fn validate_ranges(out: &mut Problems, spec: &Value) {
    let path = Path::new("spec").child("cidrs");
    let ranges = spec.items("cidrs");
    match ranges.len() {
        0 => return out.required(&path, "at least one CIDR required"),
        1 | 2 => {}
        _ => {
            let shown = go_form::compact("ServiceCIDRSpec", spec);
            return out.invalid_raw(&path, shown, "may only hold up to 2 values");
        }
    }
    for (i, range) in ranges.iter().enumerate() {
        let range = range.as_str().unwrap_or_default();
        out.invalid_each(&path.index(i), range, format::canonical_cidr(range));
    }
    let family = |range: &Value| format::parse_cidr(range.as_str()?).map(|(ip, _)| ip.is_ipv4());
    if let [first, second] = ranges
        && family(first).is_some()
        && family(first) == family(second)
    {
        let detail = "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64";
        out.invalid(&path, spec.at("cidrs"), detail);
    }
}
