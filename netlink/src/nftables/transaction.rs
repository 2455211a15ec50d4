//! A transaction: the messages between the begin and the end of a batch.

use crate::message::Buffer;
use crate::nftables::expression::Expression;
use crate::nftables::kernel as k;
use crate::nftables::set::{Element, Gives, Holds, Set};

const CREATE: u16 = libc::NLM_F_CREATE as u16;
const APPEND: u16 = (libc::NLM_F_CREATE | libc::NLM_F_APPEND) as u16;
/// A list of elements is one attribute, whose length has 16 bits.
const ELEMENTS_LIMIT: usize = 32 << 10;

/// What a base chain does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HookKind {
    /// Accepts, drops, refuses.
    Filter,
    /// Sees the first packet of a connection and may translate it.
    Nat,
}

/// Where in a packet's way a base chain lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hook {
    /// What it does.
    pub kind: HookKind,
    /// 0 prerouting, 1 input, 2 forward, 3 output, 4 postrouting.
    pub number: u32,
    /// Lower comes first.
    pub priority: i32,
}

/// Changes that the kernel makes all at once, or not at all.
#[derive(Debug)]
pub struct Transaction {
    table: &'static str,
    buffer: Buffer,
    last: usize,
    /// What each message asks for, by sequence number.
    requests: Vec<&'static str>,
    sets: u32,
}

/// A finished transaction.
pub(crate) struct Batch {
    buffer: Buffer,
    requests: Vec<&'static str>,
    last: u32,
}

impl Batch {
    pub(crate) fn bytes(&self) -> &[u8] {
        self.buffer.bytes()
    }

    pub(crate) fn first(&self) -> u32 {
        0
    }

    /// The sequence number of the one message that asks for an acknowledgement.
    pub(crate) fn last(&self) -> u32 {
        self.last
    }

    pub(crate) fn request(&self, sequence: u32) -> &'static str {
        let known = self.requests.get(sequence as usize);
        known.copied().unwrap_or("a transaction")
    }
}

impl Transaction {
    /// An empty transaction on one table of the `ip` family.
    pub fn new(table: &'static str) -> Self {
        let mut transaction = Self {
            table,
            buffer: Buffer::new(),
            last: 0,
            requests: Vec::new(),
            sets: 0,
        };
        transaction.bound(k::BATCH_BEGIN, "a transaction");
        transaction
    }

    /// True when nothing is to be changed.
    pub fn is_empty(&self) -> bool {
        self.requests.len() == 1
    }

    /// Makes the table unless it exists.
    pub fn add_table(&mut self) {
        let table = self.table;
        self.message("a new table", k::NEWTABLE, CREATE, |message| {
            message.string(k::TABLE_NAME, table);
        });
    }

    /// Deletes the table with all that is in it.
    pub fn delete_table(&mut self) {
        let table = self.table;
        self.message("a table's deletion", k::DELTABLE, 0, |message| {
            message.string(k::TABLE_NAME, table);
        });
    }

    /// Makes a chain, a base chain if it has a hook.
    pub fn add_chain(&mut self, name: &str, hook: Option<Hook>) {
        let table = self.table;
        self.message("a new chain", k::NEWCHAIN, CREATE, |message| {
            message
                .string(k::CHAIN_TABLE, table)
                .string(k::CHAIN_NAME, name);
            if let Some(hook) = hook {
                let kind = match hook.kind {
                    HookKind::Filter => "filter",
                    HookKind::Nat => "nat",
                };
                message
                    .nested(k::CHAIN_HOOK, |inner| {
                        inner
                            .be32(k::HOOK_HOOKNUM, hook.number)
                            .attribute(k::HOOK_PRIORITY, &hook.priority.to_be_bytes());
                    })
                    .be32(k::CHAIN_POLICY, 1)
                    .string(k::CHAIN_TYPE, kind);
            }
        });
    }

    /// Deletes a chain with its rules; nothing may lead to it any more.
    pub fn delete_chain(&mut self, name: &str) {
        let table = self.table;
        self.message("a chain's deletion", k::DELCHAIN, 0, |message| {
            message
                .string(k::CHAIN_TABLE, table)
                .string(k::CHAIN_NAME, name);
        });
    }

    /// Removes a chain's rules.
    pub fn flush_chain(&mut self, name: &str) {
        let table = self.table;
        self.message("a chain's emptying", k::DELRULE, 0, |message| {
            message
                .string(k::RULE_TABLE, table)
                .string(k::RULE_CHAIN, name);
        });
    }

    /// Appends a rule to a chain.
    pub fn add_rule(&mut self, chain: &str, expressions: &[Expression]) {
        let table = self.table;
        self.message("a new rule", k::NEWRULE, APPEND, |message| {
            message
                .string(k::RULE_TABLE, table)
                .string(k::RULE_CHAIN, chain)
                .nested(k::RULE_EXPRESSIONS, |list| {
                    for expression in expressions {
                        expression.write(list);
                    }
                });
        });
    }

    /// Makes a named set or map.
    pub fn add_set(&mut self, set: Set) {
        let table = self.table;
        self.sets += 1;
        let id = self.sets;
        let data = match set.gives {
            Gives::Nothing => None,
            Gives::Verdict => Some((k::VERDICT_TYPE, 0)),
            Gives::Value(kind) => Some((kind.number(), kind.length())),
        };
        let held = match set.holds {
            Holds::Keys => 0,
            Holds::Ranges if set.key.0.len() > 1 => k::SET_F_INTERVAL | k::SET_F_CONCAT,
            Holds::Ranges => k::SET_F_INTERVAL,
            Holds::Remembered(_) => k::SET_F_TIMEOUT | k::SET_F_EVAL,
        };
        self.message("a new set", k::NEWSET, CREATE, |message| {
            message
                .string(k::SET_TABLE, table)
                .string(k::SET_NAME, set.name)
                .be32(k::SET_FLAGS, held | data.map_or(0, |_| k::SET_F_MAP))
                .be32(k::SET_KEY_TYPE, set.key.number())
                .be32(k::SET_KEY_LEN, set.key.length());
            if let Some((number, length)) = data {
                message
                    .be32(k::SET_DATA_TYPE, number)
                    .be32(k::SET_DATA_LEN, length);
            }
            message.be32(k::SET_ID, id);
            match set.holds {
                Holds::Keys => {}
                Holds::Ranges => {
                    message.nested(k::SET_DESC, |description| {
                        description.nested(k::SET_DESC_CONCAT, |fields| {
                            for part in set.key.0 {
                                fields.nested(k::LIST_ELEM, |field| {
                                    field.be32(k::SET_FIELD_LEN, part.length());
                                });
                            }
                        });
                    });
                }
                Holds::Remembered(most) => {
                    message.nested(k::SET_DESC, |description| {
                        description.be32(k::SET_DESC_SIZE, most);
                    });
                }
            }
        });
    }

    /// Adds elements to a named set.
    pub fn add_elements(&mut self, set: &'static str, elements: impl IntoIterator<Item = Element>) {
        self.elements(
            "new elements",
            (k::NEWSETELEM, CREATE),
            set,
            elements,
            |element, list| {
                list.nested(k::LIST_ELEM, |inner| element.write(inner));
            },
        );
    }

    /// Removes elements, all of them present, from a named set; what they give does not matter.
    pub fn delete_elements(
        &mut self,
        set: &'static str,
        elements: impl IntoIterator<Item = Element>,
    ) {
        self.elements(
            "elements' deletion",
            (k::DELSETELEM, 0),
            set,
            elements,
            |element, list| {
                list.nested(k::LIST_ELEM, |inner| element.write_key(inner));
            },
        );
    }

    fn elements(
        &mut self,
        request: &'static str,
        (kind, flags): (u16, u16),
        set: &'static str,
        elements: impl IntoIterator<Item = Element>,
        write: fn(&Element, &mut Buffer),
    ) {
        let mut elements = elements.into_iter().peekable();
        while elements.peek().is_some() {
            let table = self.table;
            self.message(request, kind, flags, |message| {
                message
                    .string(k::SET_ELEM_LIST_TABLE, table)
                    .string(k::SET_ELEM_LIST_SET, set);
                message.nested(k::SET_ELEM_LIST_ELEMENTS, |list| {
                    let start = list.len();
                    while list.len() - start < ELEMENTS_LIMIT
                        && let Some(element) = elements.next()
                    {
                        write(&element, list);
                    }
                });
            });
        }
    }

    pub(crate) fn finish(mut self) -> Option<Batch> {
        if self.is_empty() {
            return None;
        }
        let last = self.requests.len() as u32 - 1;
        self.buffer.set_flags(self.last, libc::NLM_F_ACK as u16);
        self.bound(k::BATCH_END, "a transaction");
        Some(Batch {
            buffer: self.buffer,
            requests: self.requests,
            last,
        })
    }

    fn bound(&mut self, kind: u16, request: &'static str) {
        let sequence = self.requests.len() as u32;
        self.requests.push(request);
        self.buffer
            .message(kind, libc::NLM_F_REQUEST as u16, sequence, |message| {
                let [high, low] = k::SUBSYSTEM.to_be_bytes();
                message.raw(&[libc::AF_UNSPEC as u8, 0, high, low]);
            });
    }

    fn message(
        &mut self,
        request: &'static str,
        kind: u16,
        flags: u16,
        body: impl FnOnce(&mut Buffer),
    ) {
        let sequence = self.requests.len() as u32;
        self.requests.push(request);
        self.last = self.buffer.len();
        let flags = flags | libc::NLM_F_REQUEST as u16;
        self.buffer.message(kind, flags, sequence, |message| {
            message.raw(&FAMILY);
            body(message);
        });
    }
}

/// `struct nfgenmsg` of the `ip` family.
pub(crate) const FAMILY: [u8; 4] = [libc::AF_INET as u8, 0, 0, 0];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::split;
    use crate::nftables::set::Given;

    #[test]
    fn only_the_last_change_of_a_batch_asks_for_an_acknowledgement() {
        let mut transaction = Transaction::new("t");
        assert!(transaction.is_empty());
        transaction.add_table();
        transaction.add_chain("c", None);
        let batch = transaction.finish().unwrap();
        let messages = split(batch.bytes());
        let kinds: Vec<_> = messages.iter().map(|message| message.kind).collect();
        assert_eq!(
            kinds,
            [k::BATCH_BEGIN, k::NEWTABLE, k::NEWCHAIN, k::BATCH_END]
        );
        let asking: Vec<_> = messages
            .iter()
            .filter(|message| message.flags & libc::NLM_F_ACK as u16 != 0)
            .map(|message| message.sequence)
            .collect();
        assert_eq!(asking, [batch.last()]);
        assert_eq!(batch.request(2), "a new chain");
    }

    #[test]
    fn many_elements_are_split_into_messages_that_fit() {
        let mut transaction = Transaction::new("t");
        let keys =
            (0_u32..10_000).map(|key| Element::new(key.to_be_bytes().to_vec(), Given::Nothing));
        transaction.add_elements("s", keys);
        let batch = transaction.finish().unwrap();
        let messages = split(batch.bytes());
        assert!(messages.len() > 5);
        assert!(
            messages
                .iter()
                .all(|message| message.payload.len() < 60_000)
        );
    }
}
