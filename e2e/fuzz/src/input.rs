//! Taking an input apart.

use std::sync::{Arc, LazyLock};

use ferrule_apimachinery::schema::{Schema, TypeId};
use ferrule_apimachinery::scheme::{Resource, Scheme};
use serde_json::Value;

/// The rows of the scheme.
pub static ROWS: LazyLock<Vec<Arc<Resource>>> =
    LazyLock::new(|| Scheme::builtin().iter().cloned().collect());

/// The row that a first byte chooses, its type, and what follows.
pub fn row(data: &[u8]) -> Option<(&'static Resource, TypeId, &[u8])> {
    let (first, rest) = data.split_first()?;
    let resource = &ROWS[usize::from(*first) % ROWS.len()];
    let id = Schema::builtin().type_id(&resource.schema_type)?;
    Some((resource, id, rest))
}

/// The byte that chooses a row.
pub fn byte_of(resource: &Resource) -> u8 {
    let found = ROWS.iter().position(|row| **row == *resource);
    u8::try_from(found.unwrap_or_default()).expect("fewer rows than bytes")
}

/// The first values in JSON that stand one after the other; null where there are fewer.
pub fn documents<const N: usize>(data: &[u8]) -> [Value; N] {
    let mut read = serde_json::Deserializer::from_slice(data).into_iter::<Value>();
    std::array::from_fn(|_| read.next().and_then(Result::ok).unwrap_or_default())
}
