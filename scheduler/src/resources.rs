//! Amounts of resources: what a node offers and what pods ask for.

use std::collections::BTreeMap;

use ferrule_apimachinery::quantity::Quantity;

/// CPU that a container without a request is counted with when nodes are scored.
pub const DEFAULT_MILLI_CPU: i64 = 100;
/// Memory that a container without a request is counted with when nodes are scored.
pub const DEFAULT_MEMORY: i64 = 200 * 1024 * 1024;

/// A resource list, as it stands in objects: `cpu: 100m`.
pub type ResourceList = BTreeMap<String, String>;

/// Amounts in whole numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resources {
    /// Thousandths of a core.
    pub milli_cpu: i64,
    /// Bytes.
    pub memory: i64,
    /// Bytes.
    pub ephemeral_storage: i64,
    /// Everything else by its name: `nvidia.com/gpu`.
    pub scalar: BTreeMap<Box<str>, i64>,
}

impl Resources {
    /// Reads a list. `pods` is not an amount of a pod and is left out; so is what is malformed,
    /// which the API server does not accept.
    pub fn of(list: &ResourceList) -> Resources {
        let mut resources = Resources::default();
        for (name, text) in list {
            let Ok(quantity) = Quantity::parse(text) else {
                continue;
            };
            match name.as_str() {
                "cpu" => resources.milli_cpu = quantity.milli(),
                "memory" => resources.memory = quantity.value(),
                "ephemeral-storage" => resources.ephemeral_storage = quantity.value(),
                "pods" => {}
                _ => drop(
                    resources
                        .scalar
                        .insert(name.as_str().into(), quantity.value()),
                ),
            }
        }
        resources
    }

    /// An amount by its name, of those in `scalar`.
    pub fn scalar(&self, name: &str) -> i64 {
        if self.scalar.is_empty() {
            return 0;
        }
        self.scalar.get(name).copied().unwrap_or(0)
    }

    /// Adds another amount.
    pub fn add(&mut self, other: &Resources) {
        self.each(other, |own, other| own.saturating_add(other));
    }

    /// Takes another amount away.
    pub fn subtract(&mut self, other: &Resources) {
        self.each(other, |own, other| own.saturating_sub(other));
        if !self.scalar.is_empty() {
            self.scalar.retain(|_, amount| *amount != 0);
        }
    }

    /// The larger of each amount.
    pub fn at_least(&mut self, other: &Resources) {
        self.each(other, i64::max);
    }

    fn each(&mut self, other: &Resources, combine: impl Fn(i64, i64) -> i64) {
        self.milli_cpu = combine(self.milli_cpu, other.milli_cpu);
        self.memory = combine(self.memory, other.memory);
        self.ephemeral_storage = combine(self.ephemeral_storage, other.ephemeral_storage);
        for (name, amount) in &other.scalar {
            let own = self.scalar.entry(name.clone()).or_default();
            *own = combine(*own, *amount);
        }
    }
}
