//! Terms of leaders: each has one holder, and they follow one another.

use std::collections::BTreeMap;

use super::{Broken, Histories, LEADERS};
use crate::chaos::history::Facts;

pub fn check(histories: &Histories) -> Vec<Broken> {
    let mut terms: BTreeMap<&str, (u64, &str)> = BTreeMap::new();
    let mut broken = Vec::new();
    for event in histories.merged("leases").into_values() {
        let Facts::Lease(holder, term) = &event.facts else {
            continue;
        };
        let (last, held) = *terms.get(&*event.key).unwrap_or(&(*term, holder));
        // A lease that is given back has no holder until the next term.
        let same =
            *term == last && (holder == held || holder.is_empty() || held.is_empty() && last == 0);
        if !same && *term != last + 1 {
            broken.push(Broken::new(
                LEADERS,
                format!(
                    "{}: {holder:?} in term {term} came after {held:?} in term {last}",
                    event.key
                ),
            ));
        }
        terms.insert(&event.key, (*term, holder));
    }
    broken
}
