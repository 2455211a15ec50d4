//! Programming: changes as nf_tables transactions, and the memory of what is programmed.

mod encoding;
mod rules;

use std::collections::BTreeMap;

use ferrule_netlink::Error;
use ferrule_netlink::nftables::{Connection, Contents, Element, Holds, Set, Transaction};

use crate::affinity;
use crate::objects::ServiceName;
use crate::ruleset::{Fragment, Key, Settings, Value};
use crate::spread::Chain;
use crate::table::{Changes, Ruleset};
use encoding::{AFFINITY, NODE_PORT_AFFINITY, SETS, element, remembered, set_of};
use rules::{frame, rules};

/// The table that the proxy owns.
pub const TABLE: &str = "ferrule-proxy";

/// What a synchronisation did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing had to change.
    Unchanged,
    /// What had to change was changed.
    Changed,
    /// The whole table was made anew.
    Rebuilt,
}

/// Programs the kernel and remembers what is programmed.
#[derive(Debug)]
pub struct Programmer {
    connection: Option<Connection>,
    ruleset: Ruleset,
    /// Whether the kernel has what the ruleset says.
    is_programmed: bool,
    generation: u32,
    /// Whether there was ever a chain that makes packets remember.
    has_remembered: bool,
}

impl Programmer {
    /// A programmer that has programmed nothing.
    pub fn new(settings: Settings) -> Self {
        Self {
            connection: None,
            ruleset: Ruleset::new(settings),
            is_programmed: false,
            generation: 0,
            has_remembered: false,
        }
    }

    /// What was asked for last.
    pub fn ruleset(&self) -> &Ruleset {
        &self.ruleset
    }

    /// The port by which the kernel names this programmer in events.
    pub fn port(&mut self) -> Result<u32, Error> {
        Ok(self.connect()?.port())
    }

    /// Puts what these services contribute in place of what they did.
    pub fn update(
        &mut self,
        changed: BTreeMap<ServiceName, Option<Fragment>>,
    ) -> Result<(Outcome, Changes), Error> {
        let changes = self.ruleset.update(changed);
        Ok((self.carry_out(&changes)?, changes))
    }

    /// In one transaction; when that is refused, makes the whole table anew in one.
    fn carry_out(&mut self, changes: &Changes) -> Result<Outcome, Error> {
        let sticks = |chain: &Chain| matches!(chain, Chain::Remember(_));
        self.has_remembered |= changes.new_chains.iter().any(sticks);
        if self.is_programmed {
            if changes.is_empty() {
                return Ok(Outcome::Unchanged);
            }
            // Until the kernel has said yes.
            self.is_programmed = false;
            match self.commit(change(self.ruleset.settings(), changes)) {
                Ok(()) => {
                    self.is_programmed = true;
                    if self.has_remembered && affinity::may_outdate(changes) {
                        self.forget_outdated()?;
                    }
                    return Ok(Outcome::Changed);
                }
                Err(error) => tracing::warn!(%error, "a change was refused; making the table anew"),
            }
        }
        let mut kept = self.remembered()?;
        for (map, elements) in &mut kept {
            elements.retain(|element| self.is_valid(*map, element));
        }
        self.commit(rebuild(&self.ruleset, kept))?;
        self.is_programmed = true;
        Ok(Outcome::Rebuilt)
    }

    /// Which clients keep which endpoint: a new table goes on with that.
    fn remembered(&mut self) -> Result<[(Set, Vec<Element>); 2], Error> {
        let connection = self.connect()?;
        let mut read = |map: Set| Ok((map, connection.remembered(TABLE, map.name)?));
        Ok([read(AFFINITY)?, read(NODE_PORT_AFFINITY)?])
    }

    fn is_valid(&self, map: Set, element: &Element) -> bool {
        remembered(map, element)
            .is_some_and(|remembered| affinity::is_valid(&self.ruleset, &remembered))
    }

    /// Takes out what leads clients to endpoints that are gone.
    fn forget_outdated(&mut self) -> Result<(), Error> {
        for (map, mut elements) in self.remembered()? {
            elements.retain(|element| !self.is_valid(map, element));
            // One at a time: one that time has taken out meanwhile would make the kernel refuse all.
            for element in elements {
                let mut transaction = Transaction::new(TABLE);
                transaction.delete_elements(map.name, [element]);
                match self.commit(transaction) {
                    Err(error) if !error.is_absent() => return Err(error),
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// Looks whether the table is still as it was programmed; the next update makes it anew if not.
    pub fn audit(&mut self) -> Result<bool, Error> {
        if !self.is_programmed {
            return Ok(false);
        }
        let known = self.generation;
        let connection = self.connect()?;
        let generation = connection.generation()?;
        if generation == known {
            return Ok(true);
        }
        let found = connection.contents(TABLE)?;
        self.is_programmed = found.as_ref() == Some(&contents(&self.ruleset));
        if self.is_programmed {
            self.generation = generation;
        }
        Ok(self.is_programmed)
    }

    fn connect(&mut self) -> Result<&mut Connection, Error> {
        match &mut self.connection {
            Some(connection) => Ok(connection),
            none => Ok(none.insert(Connection::open()?)),
        }
    }

    fn commit(&mut self, transaction: Transaction) -> Result<(), Error> {
        let connection = self.connect()?;
        let result = connection.commit(transaction);
        match &result {
            Ok(()) => self.generation = connection.generation().unwrap_or_default(),
            Err(Error::Refused { .. }) => {}
            // What the kernel did is not known, and late answers must not be taken for others.
            Err(_) => self.connection = None,
        }
        result
    }
}

/// The transaction that makes the whole table anew.
pub fn rebuild(
    ruleset: &Ruleset,
    remembered: impl IntoIterator<Item = (Set, Vec<Element>)>,
) -> Transaction {
    let mut transaction = Transaction::new(TABLE);
    // The first makes sure that there is one to delete.
    transaction.add_table();
    transaction.delete_table();
    transaction.add_table();
    for set in SETS {
        transaction.add_set(set);
    }
    let settings = ruleset.settings();
    let frame = frame(settings);
    for (name, hook, _) in &frame {
        transaction.add_chain(name, *hook);
    }
    for (name, _, rules) in &frame {
        for rule in rules {
            transaction.add_rule(name, rule);
        }
    }
    add_chains(&mut transaction, settings, ruleset.chains());
    add_elements(&mut transaction, ruleset.elements());
    for (map, elements) in remembered {
        transaction.add_elements(map.name, elements);
    }
    transaction
}

/// The transaction that makes these changes.
pub fn change(settings: &Settings, changes: &Changes) -> Transaction {
    let mut transaction = Transaction::new(TABLE);
    add_chains(&mut transaction, settings, changes.new_chains.iter());
    for keys in changes.remove.chunk_by(|a, b| set_of(a) == set_of(b)) {
        if let Some(first) = keys.first() {
            let elements = keys.iter().map(|key| element(key, &Value::Member));
            transaction.delete_elements(set_of(first), elements);
        }
    }
    add_elements(
        &mut transaction,
        changes.add.iter().map(|(key, value)| (key, value)),
    );
    // Those that lead to others go first.
    let (first, then): (Vec<&Chain>, Vec<&Chain>) = changes
        .old_chains
        .iter()
        .partition(|chain| chain.leads_on());
    for chain in first.into_iter().chain(then) {
        transaction.delete_chain(&chain.name());
    }
    transaction
}

fn add_chains<'a>(
    transaction: &mut Transaction,
    settings: &Settings,
    chains: impl Iterator<Item = &'a Chain> + Clone,
) {
    for chain in chains.clone() {
        transaction.add_chain(&chain.name(), None);
    }
    for chain in chains {
        for rule in rules(settings, chain) {
            transaction.add_rule(&chain.name(), &rule);
        }
    }
}

/// Adds elements that come in the order of keys, and so set by set.
fn add_elements<'a>(
    transaction: &mut Transaction,
    elements: impl Iterator<Item = (&'a Key, &'a Value)>,
) {
    let mut elements = elements.peekable();
    while let Some((key, _)) = elements.peek() {
        let set = set_of(key);
        let of_set = std::iter::from_fn(|| elements.next_if(|(key, _)| set_of(key) == set));
        transaction.add_elements(set, of_set.map(|(key, value)| element(key, value)));
    }
}

/// What the kernel says a table with this ruleset holds.
pub fn contents(ruleset: &Ruleset) -> Contents {
    let settings = ruleset.settings();
    let mut contents = Contents::default();
    for (name, _, rules) in frame(settings) {
        contents.chains.insert(name.to_owned(), rules.len());
    }
    for chain in ruleset.chains() {
        let rules = rules(settings, chain);
        contents.chains.insert(chain.name(), rules.len());
    }
    for set in SETS
        .iter()
        .filter(|set| !matches!(set.holds, Holds::Remembered(_)))
    {
        contents.sets.insert(set.name.to_owned(), BTreeMap::new());
    }
    for (key, value) in ruleset.elements() {
        let mut element = element(key, value);
        element.key.extend(element.end.take().unwrap_or_default());
        let set = contents.sets.entry(set_of(key).to_owned()).or_default();
        set.insert(element.key, element.given);
    }
    contents
}
