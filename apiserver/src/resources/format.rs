//! Formats of single values, each answering upstream's messages for what is wrong.

use std::net::IpAddr;

use ferrule_apimachinery::names;
pub use ferrule_apimachinery::names::{
    config_map_key as config_key, path_segment, port_name, port_number,
    relaxed_env_var_name as env_name,
};
use serde_json::Value;

/// A user or group ID.
pub fn user_id(id: i64) -> Option<String> {
    out_of(id, 0, i64::from(i32::MAX))
}

/// `must be between …` when the value is not between the bounds, both of which are allowed.
pub fn out_of(value: i64, low: i64, high: i64) -> Option<String> {
    (value < low || value > high).then(|| inclusive_range(low, high))
}

/// The message for a value outside a range.
pub fn inclusive_range(low: i64, high: i64) -> String {
    format!("must be between {low} and {high}, inclusive")
}

/// A percentage such as `25%`.
pub fn percent(text: &str) -> Option<String> {
    let valid = text
        .strip_suffix('%')
        .is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()));
    (!valid).then(|| {
        "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used \
         for validation is '[0-9]+%')"
            .to_owned()
    })
}

/// The number in `3` or `25%`.
pub fn number(value: &Value) -> i64 {
    match value {
        Value::String(text) => text
            .strip_suffix('%')
            .and_then(|digits| digits.parse().ok())
            .unwrap_or_default(),
        other => other.as_i64().unwrap_or_default(),
    }
}

/// The name of an HTTP header.
pub fn header_name(name: &str) -> Option<String> {
    let valid = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    (!valid).then(|| {
        "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used for \
         validation is '[-A-Za-z0-9]+')"
            .to_owned()
    })
}

/// A DNS-1123 subdomain whose labels may have underscores.
pub fn dns_subdomain_with_underscores(name: &str) -> Vec<String> {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    let valid = name.split('.').all(|label| {
        let bytes = label.as_bytes();
        let ends = [bytes.first(), bytes.last()];
        ends.iter().all(|end| end.is_some_and(|b| inner(*b)))
            && bytes.iter().all(|b| inner(*b) || *b == b'-')
    });
    let mut wrong = Vec::new();
    if name.len() > 253 {
        wrong.push("must be no more than 253 characters".to_owned());
    }
    if !valid {
        wrong.push(
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or '.', and \
             must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is \
             '[a-z0-9_]([-_a-z0-9]*[a-z0-9_])?(\\.[a-z0-9_]([-_a-z0-9]*[a-z0-9_])?)*')"
                .to_owned(),
        );
    }
    wrong
}

/// A domain name of at least two labels, with or without a dot at its end.
pub fn domain_name(name: &str) -> Vec<String> {
    let inner = name.strip_suffix('.').unwrap_or(name);
    let mut wrong = names::dns1123_subdomain(inner);
    if wrong.is_empty() && inner.split('.').count() < 2 {
        wrong.push("should be a domain with at least two segments separated by dots".to_owned());
    }
    for label in inner.split('.').filter(|label| label.len() > 63) {
        wrong.push(format!(
            "label {label:?} must be no more than 63 characters"
        ));
    }
    wrong
}

/// The message for a text that is no IP address.
pub const NOT_AN_IP: &str = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
/// The message for a text that is no CIDR.
pub const NOT_A_CIDR: &str = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";

/// Reads an address as upstream's tolerant parser does: leading zeros in IPv4 octets are decimal.
pub fn parse_ip(text: &str) -> Option<IpAddr> {
    if let Ok(address) = text.parse() {
        return Some(address);
    }
    let octets: Vec<u8> = text
        .split('.')
        .map(|part| {
            (!part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()))
                .then(|| part.parse().ok())?
        })
        .collect::<Option<_>>()?;
    let octets: [u8; 4] = octets.try_into().ok()?;
    Some(IpAddr::from(octets))
}

/// An IP address.
pub fn ip(text: &str) -> Option<String> {
    parse_ip(text).is_none().then(|| NOT_AN_IP.to_owned())
}

/// Reads a network in CIDR form.
pub fn parse_cidr(text: &str) -> Option<(IpAddr, u8)> {
    let (address, bits) = text.split_once('/')?;
    let address = parse_ip(address)?;
    if bits.is_empty() || !bits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let bits: u8 = bits.parse().ok()?;
    (bits <= if address.is_ipv4() { 32 } else { 128 }).then_some((address, bits))
}

/// A network in CIDR form.
pub fn cidr(text: &str) -> Option<String> {
    parse_cidr(text).is_none().then(|| NOT_A_CIDR.to_owned())
}

/// A network in CIDR form, written as it would be printed.
pub fn canonical_cidr(text: &str) -> Option<String> {
    let Some((address, bits)) = parse_cidr(text) else {
        return Some(NOT_A_CIDR.to_owned());
    };
    let canonical = format!("{}/{bits}", network_address(address, bits));
    (canonical != text).then(|| format!("must be in canonical form ({canonical:?})"))
}

/// The first address of the network of `bits` that an address is in.
fn network_address(address: IpAddr, bits: u8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
            IpAddr::from((u32::from(v4) & mask).to_be_bytes())
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
            IpAddr::from((u128::from(v6) & mask).to_be_bytes())
        }
    }
}

/// Whether a network is a part of another one, and smaller.
pub fn is_strictly_inside(part: (IpAddr, u8), whole: (IpAddr, u8)) -> bool {
    part.0.is_ipv4() == whole.0.is_ipv4()
        && part.1 > whole.1
        && network_address(part.0, whole.1) == network_address(whole.0, whole.1)
}

/// Whether texts that are addresses hold one of each family, and no more.
pub fn is_dual_stack<'a>(addresses: impl IntoIterator<Item = &'a str>) -> bool {
    let (mut v4, mut v6) = (0, 0);
    for address in addresses {
        match parse_ip(address) {
            Some(IpAddr::V4(_)) => v4 += 1,
            Some(IpAddr::V6(_)) => v6 += 1,
            None => {}
        }
    }
    v4 > 0 && v6 > 0
}

/// An address that can be reached from elsewhere: what is wrong with it for an endpoint.
pub fn non_special_ip(text: &str) -> Vec<String> {
    let Some(address) = parse_ip(text) else {
        return vec!["must be a valid IP address".to_owned()];
    };
    let mut wrong = Vec::new();
    if address.is_unspecified() {
        wrong.push(format!("may not be unspecified ({text})"));
    }
    if address.is_loopback() {
        wrong.push("may not be in the loopback range (127.0.0.0/8, ::1/128)".to_owned());
    }
    let (local, multicast) = match address {
        IpAddr::V4(v4) => (v4.is_link_local(), v4.octets()[..3] == [224, 0, 0]),
        IpAddr::V6(v6) => (
            v6.segments()[0] & 0xffc0 == 0xfe80,
            v6.segments()[0] & 0xff0f == 0xff02,
        ),
    };
    if local {
        wrong.push("may not be in the link-local range (169.254.0.0/16, fe80::/10)".to_owned());
    }
    if multicast {
        wrong.push(
            "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)".to_owned(),
        );
    }
    wrong
}
