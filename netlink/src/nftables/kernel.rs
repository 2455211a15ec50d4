//! Numbers of `linux/netfilter/nf_tables.h` and `nfnetlink.h`, by their names there.

pub const SUBSYSTEM: u16 = 10;
pub const BATCH_BEGIN: u16 = 16;
pub const BATCH_END: u16 = 17;

pub const NEWTABLE: u16 = SUBSYSTEM << 8;
pub const GETTABLE: u16 = (SUBSYSTEM << 8) | 1;
pub const DELTABLE: u16 = (SUBSYSTEM << 8) | 2;
pub const NEWCHAIN: u16 = (SUBSYSTEM << 8) | 3;
pub const GETCHAIN: u16 = (SUBSYSTEM << 8) | 4;
pub const DELCHAIN: u16 = (SUBSYSTEM << 8) | 5;
pub const NEWRULE: u16 = (SUBSYSTEM << 8) | 6;
pub const GETRULE: u16 = (SUBSYSTEM << 8) | 7;
pub const DELRULE: u16 = (SUBSYSTEM << 8) | 8;
pub const NEWSET: u16 = (SUBSYSTEM << 8) | 9;
pub const GETSET: u16 = (SUBSYSTEM << 8) | 10;
pub const DELSET: u16 = (SUBSYSTEM << 8) | 11;
pub const NEWSETELEM: u16 = (SUBSYSTEM << 8) | 12;
pub const GETSETELEM: u16 = (SUBSYSTEM << 8) | 13;
pub const DELSETELEM: u16 = (SUBSYSTEM << 8) | 14;
pub const NEWGEN: u16 = (SUBSYSTEM << 8) | 15;
pub const GETGEN: u16 = (SUBSYSTEM << 8) | 16;

pub const GEN_ID: u16 = 1;

pub const TABLE_NAME: u16 = 1;
pub const TABLE_HANDLE: u16 = 4;

pub const CHAIN_TABLE: u16 = 1;
pub const CHAIN_NAME: u16 = 3;
pub const CHAIN_HOOK: u16 = 4;
pub const CHAIN_POLICY: u16 = 5;
pub const CHAIN_TYPE: u16 = 7;
pub const HOOK_HOOKNUM: u16 = 1;
pub const HOOK_PRIORITY: u16 = 2;

pub const RULE_TABLE: u16 = 1;
pub const RULE_CHAIN: u16 = 2;
pub const RULE_EXPRESSIONS: u16 = 4;

pub const SET_TABLE: u16 = 1;
pub const SET_NAME: u16 = 2;
pub const SET_FLAGS: u16 = 3;
pub const SET_KEY_TYPE: u16 = 4;
pub const SET_KEY_LEN: u16 = 5;
pub const SET_DATA_TYPE: u16 = 6;
pub const SET_DATA_LEN: u16 = 7;
pub const SET_DESC: u16 = 9;
pub const SET_ID: u16 = 10;
pub const SET_DESC_SIZE: u16 = 1;
pub const SET_DESC_CONCAT: u16 = 2;
pub const SET_FIELD_LEN: u16 = 1;
pub const SET_F_ANONYMOUS: u32 = 0x1;
pub const SET_F_INTERVAL: u32 = 0x4;
pub const SET_F_MAP: u32 = 0x8;
pub const SET_F_TIMEOUT: u32 = 0x10;
pub const SET_F_EVAL: u32 = 0x20;
pub const SET_F_CONCAT: u32 = 0x80;

pub const LIST_ELEM: u16 = 1;
pub const SET_ELEM_KEY: u16 = 1;
pub const SET_ELEM_DATA: u16 = 2;
pub const SET_ELEM_TIMEOUT: u16 = 4;
pub const SET_ELEM_EXPIRATION: u16 = 5;
pub const SET_ELEM_USERDATA: u16 = 6;
pub const SET_ELEM_KEY_END: u16 = 10;
pub const SET_ELEM_LIST_TABLE: u16 = 1;
pub const SET_ELEM_LIST_SET: u16 = 2;
pub const SET_ELEM_LIST_ELEMENTS: u16 = 3;

pub const DATA_VALUE: u16 = 1;
pub const DATA_VERDICT: u16 = 2;
pub const VERDICT_CODE: u16 = 1;
pub const VERDICT_CHAIN: u16 = 2;
pub const VERDICT_TYPE: u32 = 0xffff_ff00;

pub const EXPR_NAME: u16 = 1;
pub const EXPR_DATA: u16 = 2;

/// The verdict register; data registers follow.
pub const REG_VERDICT: u32 = 0;
pub const REG32_00: u32 = 8;

pub const FIB_RESULT_ADDRTYPE: u32 = 3;
pub const FIB_F_SADDR: u32 = 1;
pub const FIB_F_DADDR: u32 = 2;
pub const LOOKUP_F_INV: u32 = 1;
pub const DYNSET_OP_UPDATE: u32 = 1;
pub const CT_STATE: u32 = 0;
pub const CT_STATUS: u32 = 2;
pub const CT_PROTO_DST: u32 = 12;
pub const CT_SRC_IP: u32 = 19;
pub const CT_DST_IP: u32 = 20;
pub const NG_RANDOM: u32 = 1;
pub const NAT_DNAT: u32 = 1;
pub const NAT_RANGE_RANDOM_FULLY: u32 = 1 << 4;
