//! What a table holds, read back from the kernel: enough to notice that somebody changed it.

use std::collections::{BTreeMap, BTreeSet};

use crate::message::{Attributes, Buffer, Header, Received};
use crate::nftables::kernel as k;
use crate::nftables::set::{Element, Given, Lifetime};
use crate::nftables::transaction::FAMILY;
use crate::nftables::{Connection, Verdict};
use crate::socket::Error;

/// `struct nfgenmsg`.
const HEADER_LENGTH: usize = 4;

/// Elements of a named set: keys (those of a range one after the other) and what they give.
pub type Elements = BTreeMap<Vec<u8>, Given>;

/// What a table holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Contents {
    /// Chains with the number of rules in each.
    pub chains: BTreeMap<String, usize>,
    /// Named sets and maps with their elements, without those that packets fill.
    pub sets: BTreeMap<String, Elements>,
}

impl Connection {
    /// A number that grows with every change of any table.
    pub fn generation(&mut self) -> Result<u32, Error> {
        let answer = self
            .socket
            .request("the generation", k::GETGEN, 0, |message| {
                message.raw(&FAMILY);
            })?;
        let number = answer
            .iter()
            .find(|message| message.kind == k::NEWGEN)
            .and_then(|message| Attributes::after(&message.payload, HEADER_LENGTH).be32(k::GEN_ID));
        Ok(number.unwrap_or_default())
    }

    /// What a table holds; `None` if there is no such table.
    pub fn contents(&mut self, table: &str) -> Result<Option<Contents>, Error> {
        if self.table_handle(table)?.is_none() {
            return Ok(None);
        }
        let mut contents = Contents::default();
        for row in self.rows("chains", k::GETCHAIN, |m| {
            m.string(k::CHAIN_TABLE, table);
        })? {
            let chain = Attributes::after(&row.payload, HEADER_LENGTH);
            if chain.string(k::CHAIN_TABLE).as_deref() == Some(table)
                && let Some(name) = chain.string(k::CHAIN_NAME)
            {
                contents.chains.insert(name, 0);
            }
        }
        for row in self.rows("rules", k::GETRULE, |m| {
            m.string(k::RULE_TABLE, table);
        })? {
            let rule = Attributes::after(&row.payload, HEADER_LENGTH);
            if rule.string(k::RULE_TABLE).as_deref() == Some(table)
                && let Some(chain) = rule.string(k::RULE_CHAIN)
            {
                *contents.chains.entry(chain).or_default() += 1;
            }
        }
        for set in self.named_sets(table)? {
            let elements = self.set_elements(table, &set)?;
            contents.sets.insert(set, elements);
        }
        Ok(Some(contents))
    }

    /// The number the kernel gave this table when it was made; `None` if there is no such table.
    pub fn table_handle(&mut self, table: &str) -> Result<Option<u64>, Error> {
        let answer = self.socket.request("a table", k::GETTABLE, 0, |message| {
            message.raw(&FAMILY).string(k::TABLE_NAME, table);
        });
        let rows = match answer {
            Ok(rows) => rows,
            Err(error) if error.is_absent() => return Ok(None),
            Err(error) => return Err(error),
        };
        Ok(rows.iter().find_map(|message| {
            let handle = Attributes::after(&message.payload, HEADER_LENGTH).get(k::TABLE_HANDLE)?;
            Some(u64::from_be_bytes(handle.try_into().ok()?))
        }))
    }

    /// What packets have made a table remember in a map, and for how long still; nothing if there is no such map.
    pub fn remembered(&mut self, table: &str, map: &str) -> Result<Vec<Element>, Error> {
        match self.elements(table, map) {
            Err(error) if error.is_absent() => Ok(Vec::new()),
            other => other,
        }
    }

    fn named_sets(&mut self, table: &str) -> Result<BTreeSet<String>, Error> {
        let rows = self.rows("sets", k::GETSET, |m| {
            m.string(k::SET_TABLE, table);
        })?;
        let sets = rows.iter().filter_map(|row| {
            let set = Attributes::after(&row.payload, HEADER_LENGTH);
            let flags = set.be32(k::SET_FLAGS).unwrap_or_default();
            let named = flags & (k::SET_F_ANONYMOUS | k::SET_F_EVAL) == 0;
            let ours = set.string(k::SET_TABLE)? == table;
            (named && ours).then(|| set.string(k::SET_NAME))?
        });
        Ok(sets.collect())
    }

    fn set_elements(&mut self, table: &str, set: &str) -> Result<Elements, Error> {
        let whole = |mut element: Element| {
            element.key.extend(element.end.unwrap_or_default());
            (element.key, element.given)
        };
        Ok(self.elements(table, set)?.into_iter().map(whole).collect())
    }

    fn elements(&mut self, table: &str, set: &str) -> Result<Vec<Element>, Error> {
        let rows = self.rows("elements", k::GETSETELEM, |m| {
            m.string(k::SET_ELEM_LIST_TABLE, table)
                .string(k::SET_ELEM_LIST_SET, set);
        })?;
        let mut elements = Vec::new();
        for row in &rows {
            let list =
                Attributes::after(&row.payload, HEADER_LENGTH).get(k::SET_ELEM_LIST_ELEMENTS);
            let list = Attributes::nested(list.unwrap_or_default());
            elements.extend(list.map(|(_, bytes)| element(Attributes::nested(bytes))));
        }
        Ok(elements)
    }

    fn rows(
        &mut self,
        name: &'static str,
        kind: u16,
        filter: impl Fn(&mut Buffer),
    ) -> Result<Vec<Received>, Error> {
        self.socket.dump(name, kind, |message| {
            message.raw(&FAMILY);
            filter(message);
        })
    }
}

fn element(attributes: Attributes<'_>) -> Element {
    let bytes = |kind| {
        Some(
            Attributes::nested(attributes.get(kind)?)
                .get(k::DATA_VALUE)?
                .to_vec(),
        )
    };
    let number = |kind| {
        let bytes = attributes.get(kind)?.try_into().ok()?;
        Some(u64::from_be_bytes(bytes))
    };
    let given = attributes
        .get(k::SET_ELEM_DATA)
        .map_or(Given::Nothing, given);
    let mut element = Element::new(bytes(k::SET_ELEM_KEY).unwrap_or_default(), given);
    element.end = bytes(k::SET_ELEM_KEY_END);
    element.lifetime = number(k::SET_ELEM_EXPIRATION).map(|left| Lifetime {
        whole: number(k::SET_ELEM_TIMEOUT).unwrap_or(left),
        left,
    });
    element
}

fn given(data: &[u8]) -> Given {
    if let Some(verdict) = verdict(data) {
        return Given::Verdict(verdict);
    }
    let value = Attributes::nested(data).get(k::DATA_VALUE);
    value.map_or(Given::Nothing, |bytes| Given::Value(bytes.to_vec()))
}

fn verdict(data: &[u8]) -> Option<Verdict> {
    let verdict = Attributes::nested(Attributes::nested(data).get(k::DATA_VERDICT)?);
    let chain = || verdict.string(k::VERDICT_CHAIN);
    match verdict.be32(k::VERDICT_CODE)?.cast_signed() {
        0 => Some(Verdict::Drop),
        1 => Some(Verdict::Accept),
        -3 => Some(Verdict::Jump(chain()?)),
        -4 => Some(Verdict::Goto(chain()?)),
        -5 => Some(Verdict::Return),
        _ => None,
    }
}

/// Whether an event is about this table.
pub(crate) fn is_about(event: &Header<'_>, table: &str) -> bool {
    const KINDS: [u16; 10] = [
        k::NEWTABLE,
        k::DELTABLE,
        k::NEWCHAIN,
        k::DELCHAIN,
        k::NEWRULE,
        k::DELRULE,
        k::NEWSET,
        k::DELSET,
        k::NEWSETELEM,
        k::DELSETELEM,
    ];
    // In all of them, the table's name is attribute 1.
    let name = || Attributes::after(event.payload, HEADER_LENGTH).get(k::TABLE_NAME);
    KINDS.contains(&event.kind)
        && name().is_some_and(|name| name.strip_suffix(&[0]).unwrap_or(name) == table.as_bytes())
}
