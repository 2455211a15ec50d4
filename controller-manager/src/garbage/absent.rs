//! Owners that are known to be absent: a uid never comes back, so they need not be looked up again.

use std::collections::{HashSet, VecDeque};

use super::graph::Coordinates;

/// How many are remembered; as upstream.
const REMEMBERED: usize = 500;

/// The owners that were last found to be absent.
#[derive(Default)]
pub struct AbsentOwners {
    known: HashSet<Coordinates>,
    order: VecDeque<Coordinates>,
}

impl AbsentOwners {
    /// Remembers one, and forgets the oldest beyond the limit.
    pub fn add(&mut self, owner: Coordinates) {
        if self.known.insert(owner.clone()) {
            self.order.push_back(owner);
        }
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }

    /// Whether one is known to be absent.
    pub fn has(&self, owner: &Coordinates) -> bool {
        self.known.contains(owner)
    }
}

#[cfg(test)]
mod tests {
    use ferrule_client::Key;

    use super::super::graph::Kind;
    use super::*;

    #[test]
    fn the_last_ones_are_remembered() {
        let owner = |number: usize| Coordinates {
            kind: Kind::new("v1", "Pod"),
            key: Key::new("shop", "web"),
            uid: number.to_string().into(),
        };
        let mut absent = AbsentOwners::default();
        (0..=REMEMBERED).for_each(|number| absent.add(owner(number)));
        absent.add(owner(REMEMBERED));
        assert!(!absent.has(&owner(0)));
        assert!((1..=REMEMBERED).all(|number| absent.has(&owner(number))));
    }
}
