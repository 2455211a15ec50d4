//! Amounts of resources: `500m`, `1Gi`, `2e3`, exact to a billionth.

use std::cmp::Ordering;
use std::fmt;
use std::ops::{Add, Neg, Sub};
use std::str::FromStr;

const NANO: i128 = 1_000_000_000;
/// Larger amounts are cut down to this, as upstream does.
const MAX: i128 = (i64::MAX as i128) * NANO;

/// How an amount was written, and so how it is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// `1e3`.
    DecimalExponent,
    /// `1Ki`.
    BinarySi,
    /// `1k`.
    DecimalSi,
}

/// Why a text is no quantity; the messages are upstream's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// Not of the form at all.
    #[error(
        "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
    )]
    Format,
    /// The part behind the number is no known suffix.
    #[error("unable to parse quantity's suffix")]
    Suffix,
}

/// An exact decimal amount. Equality and order look at the amount only.
#[derive(Clone, Copy, Debug)]
pub struct Quantity {
    nano: i128,
    format: Format,
}

impl Quantity {
    /// Nothing.
    pub const ZERO: Quantity = Quantity {
        nano: 0,
        format: Format::DecimalSi,
    };

    /// A whole amount: `5`.
    pub fn from_value(value: i64) -> Quantity {
        Quantity {
            nano: i128::from(value) * NANO,
            format: Format::DecimalSi,
        }
    }

    /// An amount in thousandths: `500m`.
    pub fn from_milli(milli: i64) -> Quantity {
        Quantity {
            nano: i128::from(milli) * (NANO / 1000),
            format: Format::DecimalSi,
        }
    }

    /// A whole amount that prints with binary suffixes: `1Gi`.
    pub fn from_bytes(bytes: i64) -> Quantity {
        Quantity {
            nano: i128::from(bytes) * NANO,
            format: Format::BinarySi,
        }
    }

    /// Reads the text form.
    pub fn parse(text: &str) -> Result<Quantity, QuantityError> {
        let (negative, rest) = match text.as_bytes().first() {
            None => return Err(QuantityError::Format),
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            Some(_) => (false, text),
        };
        let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
        let whole_end = digits(rest);
        let (whole, mut rest) = rest.split_at(whole_end);
        let mut fraction = "";
        if let Some(after) = rest.strip_prefix('.') {
            (fraction, rest) = after.split_at(digits(after));
        }
        if whole.is_empty() && fraction.is_empty() {
            return Err(QuantityError::Format);
        }
        let (power, format) = suffix(rest)?;
        let nano = amount(whole, fraction, power);
        Ok(Quantity {
            nano: if negative { -nano } else { nano },
            format,
        })
    }

    /// How it prints.
    pub fn format(&self) -> Format {
        self.format
    }

    /// The same amount printed in another way.
    #[must_use]
    pub fn with_format(mut self, format: Format) -> Quantity {
        self.format = format;
        self
    }

    /// The amount rounded up to a whole number.
    pub fn value(&self) -> i64 {
        self.scaled(NANO)
    }

    /// The amount in thousandths, rounded up.
    pub fn milli(&self) -> i64 {
        self.scaled(NANO / 1000)
    }

    /// The amount in billionths.
    pub fn nano(&self) -> i128 {
        self.nano
    }

    /// Whether it is a whole number.
    pub fn is_whole(&self) -> bool {
        self.nano % NANO == 0
    }

    /// Whether it is nothing.
    pub fn is_zero(&self) -> bool {
        self.nano == 0
    }

    /// -1, 0 or 1.
    pub fn signum(&self) -> i32 {
        match self.nano.cmp(&0) {
            Ordering::Less => -1,
            Ordering::Equal => 0,
            Ordering::Greater => 1,
        }
    }

    fn scaled(&self, unit: i128) -> i64 {
        let up = self.nano.div_euclid(unit) + i128::from(self.nano.rem_euclid(unit) != 0);
        let up = up.clamp(i128::from(i64::MIN), i128::from(i64::MAX));
        // Just brought into range.
        i64::try_from(up).unwrap_or(i64::MAX)
    }
}

/// The factor that a suffix stands for.
#[derive(Clone, Copy)]
enum Power {
    Ten(i32),
    Two(u32),
}

fn suffix(text: &str) -> Result<(Power, Format), QuantityError> {
    let simple = match text {
        "n" => Some(-9),
        "u" => Some(-6),
        "m" => Some(-3),
        "" => Some(0),
        "k" => Some(3),
        "M" => Some(6),
        "G" => Some(9),
        "T" => Some(12),
        "P" => Some(15),
        "E" => Some(18),
        _ => None,
    };
    if let Some(exponent) = simple {
        return Ok((Power::Ten(exponent), Format::DecimalSi));
    }
    let binary = match text {
        "Ki" => Some(10),
        "Mi" => Some(20),
        "Gi" => Some(30),
        "Ti" => Some(40),
        "Pi" => Some(50),
        "Ei" => Some(60),
        _ => None,
    };
    if let Some(shift) = binary {
        return Ok((Power::Two(shift), Format::BinarySi));
    }
    // The form of a suffix: letters, a sign, digits.
    let letters = text
        .bytes()
        .take_while(|b| b"eEinumkKMGTP".contains(b))
        .count();
    let (word, number) = text.split_at(letters);
    let digits = number.strip_prefix(['-', '+']).unwrap_or(number);
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(QuantityError::Format);
    }
    if !matches!(word, "e" | "E") {
        return Err(QuantityError::Suffix);
    }
    let exponent: i32 = number.parse().map_err(|_| QuantityError::Suffix)?;
    Ok((Power::Ten(exponent), Format::DecimalExponent))
}

/// `whole.fraction` times the power, in billionths: rounded up, and cut at the maximum.
fn amount(whole: &str, fraction: &str, power: Power) -> i128 {
    // More digits than fit cannot matter: the result is the maximum, or a remainder below a billionth.
    const ENOUGH: usize = 28;
    let whole = whole.trim_start_matches('0');
    if whole.len() > ENOUGH && !matches!(power, Power::Ten(e) if e < 0) {
        return MAX;
    }
    let all = format!("{whole}{}", fraction.trim_end_matches('0'));
    // Zeros before the first digit would take the places of those that count.
    let all = all.trim_start_matches('0');
    let scale = i64::try_from(fraction.trim_end_matches('0').len()).unwrap_or(i64::MAX);
    let (kept, cut) = all.split_at(all.len().min(ENOUGH + 8));
    let mantissa: i128 = kept.parse().unwrap_or(0);
    let mut inexact = cut.bytes().any(|b| b != b'0');
    if mantissa == 0 && !inexact {
        return 0;
    }
    let (exponent, shift) = match power {
        Power::Ten(exponent) => (i64::from(exponent), 0),
        Power::Two(shift) => (0, shift),
    };
    let cut = i64::try_from(cut.len()).unwrap_or(i64::MAX);
    let mut exponent = exponent.saturating_sub(scale).saturating_add(cut) + 9;
    let mut value = mantissa;
    for _ in 0..shift {
        match value.checked_mul(2) {
            Some(double) => value = double,
            None => {
                // Make room: the digits lost here lie far below a billionth, or the result is cut anyway.
                inexact |= value % 10 != 0;
                value = value / 10 * 2;
                exponent += 1;
            }
        }
    }
    while exponent > 0 {
        value = value.saturating_mul(10);
        exponent -= 1;
        if value >= MAX {
            return MAX;
        }
    }
    while exponent < 0 && value > 0 {
        inexact |= value % 10 != 0;
        value /= 10;
        exponent += 1;
    }
    (value + i128::from(inexact)).min(MAX)
}

impl FromStr for Quantity {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Quantity::parse(text)
    }
}

impl fmt::Display for Quantity {
    /// The canonical form: no fraction, and the largest suffix that loses nothing.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.nano == 0 {
            return f.write_str("0");
        }
        let small = self.nano.abs() < 1024 * NANO;
        if self.format == Format::BinarySi && !small && self.is_whole() {
            let mut value = self.nano / NANO;
            let mut index = 0;
            while value % 1024 == 0 && index < 6 {
                value /= 1024;
                index += 1;
            }
            return write!(
                f,
                "{value}{}",
                ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"][index]
            );
        }
        let mut value = self.nano;
        let mut exponent = -9;
        while value % 1000 == 0 && exponent < 18 {
            value /= 1000;
            exponent += 3;
        }
        if self.format == Format::DecimalExponent {
            return match exponent {
                0 => write!(f, "{value}"),
                _ => write!(f, "{value}e{exponent}"),
            };
        }
        let suffix = match exponent {
            -9 => "n",
            -6 => "u",
            -3 => "m",
            0 => "",
            3 => "k",
            6 => "M",
            9 => "G",
            12 => "T",
            15 => "P",
            _ => "E",
        };
        write!(f, "{value}{suffix}")
    }
}

impl Default for Quantity {
    /// Zero.
    fn default() -> Self {
        Quantity::from_value(0)
    }
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.nano == other.nano
    }
}

impl Eq for Quantity {}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> Ordering {
        self.nano.cmp(&other.nano)
    }
}

impl std::hash::Hash for Quantity {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.nano.hash(state);
    }
}

impl Add for Quantity {
    type Output = Quantity;

    /// The sum prints as the left side does, unless that is nothing.
    fn add(self, other: Quantity) -> Quantity {
        let format = if self.nano == 0 {
            other.format
        } else {
            self.format
        };
        Quantity {
            nano: self.nano.saturating_add(other.nano),
            format,
        }
    }
}

impl Sub for Quantity {
    type Output = Quantity;

    fn sub(self, other: Quantity) -> Quantity {
        self + -other
    }
}

impl Neg for Quantity {
    type Output = Quantity;

    fn neg(self) -> Quantity {
        Quantity {
            nano: -self.nano,
            format: self.format,
        }
    }
}

impl std::iter::Sum for Quantity {
    fn sum<I: Iterator<Item = Quantity>>(iter: I) -> Quantity {
        iter.fold(Quantity::ZERO, Add::add)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn zeros_before_the_first_digit_count_for_nothing() {
        let zeros = "0".repeat(40);
        let great = format!("0.{zeros}1e2147483647");
        assert_eq!(Quantity::parse(&great).unwrap().value(), i64::MAX);
        let whole = format!("0.{zeros}1e41");
        assert_eq!(Quantity::parse(&whole), Ok(Quantity::from_value(1)));
        let small = format!("-{zeros}.{zeros}1e-2147483648");
        assert_eq!(Quantity::parse(&small).unwrap().to_string(), "-1e-9");
    }

    #[test]
    fn amounts_print_in_canonical_form() {
        for (text, canonical, milli) in [
            ("0", "0", 0),
            ("-0.0Ki", "0", 0),
            ("1", "1", 1000),
            ("100m", "100m", 100),
            ("0.1", "100m", 100),
            ("1000m", "1", 1000),
            ("1500m", "1500m", 1500),
            ("1.5", "1500m", 1500),
            ("1000", "1k", 1_000_000),
            ("1024", "1024", 1_024_000),
            ("1024Ki", "1Mi", 1_048_576_000),
            ("1Ki", "1Ki", 1_024_000),
            ("0.5Ki", "512", 512_000),
            ("1.5Gi", "1536Mi", 1_610_612_736_000),
            ("2e3", "2e3", 2_000_000),
            ("12E-1", "1200e-3", 1200),
            ("1E", "1E", i64::MAX),
            (".5", "500m", 500),
            ("5.", "5", 5000),
            ("+7", "7", 7000),
            ("-1", "-1", -1000),
            ("0.0000000001", "1n", 1),
            ("99999999999999999999", "9223372036854775807", i64::MAX),
        ] {
            let quantity = Quantity::parse(text).unwrap();
            assert_eq!(quantity.to_string(), canonical, "{text}");
            assert_eq!(quantity.milli(), milli, "{text}");
        }
    }

    #[test]
    fn malformed_amounts_are_refused_in_upstream_words() {
        for text in ["", "-", "abc", "1 Gi", "1.1.M", "5$"] {
            assert_eq!(Quantity::parse(text), Err(QuantityError::Format), "{text}");
        }
        for text in ["1Kii", "1i", "1mi", "1e", "3x3e"] {
            assert!(Quantity::parse(text).is_err(), "{text}");
        }
        assert_eq!(Quantity::parse("1mi"), Err(QuantityError::Suffix));
    }

    #[test]
    fn amounts_compare_and_add_by_what_they_are() {
        let half: Quantity = "500m".parse().unwrap();
        let ki: Quantity = "1Ki".parse().unwrap();
        assert_eq!(half, "0.5".parse().unwrap());
        assert!(half < ki);
        assert_eq!((half + half).to_string(), "1");
        assert_eq!((ki + ki).to_string(), "2Ki");
        assert_eq!((ki - ki - half).to_string(), "-500m");
        assert_eq!(half.value(), 1);
        assert_eq!((-half).value(), 0);
        assert_eq!([half, ki].into_iter().sum::<Quantity>().milli(), 1_024_500);
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back_as_the_same_amount(
            text in "[+-]?[0-9]{1,12}(\\.[0-9]{0,6})?(n|u|m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|e[0-9]|E-[0-9])?"
        ) {
            let quantity = Quantity::parse(&text).unwrap();
            let again = Quantity::parse(&quantity.to_string()).unwrap();
            prop_assert_eq!(quantity, again);
            prop_assert_eq!(quantity.to_string(), again.to_string());
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in "[-+.0-9eEinumkKMGTP]{0,40}") {
            let _ = Quantity::parse(&text);
        }
    }
}
