//! The tags of V8's structured-clone format, and its versions.
//!
//! A value is `ff`, the version as a varint, and one item. An item is a tag and what the tag says;
//! padding before a tag is skipped. Each object, that is everything but the primitives, has a
//! number: the count of those that begin before it. `^` refers to an object by its number.
//!
//! ```text
//! _  0  T  F             undefined, null, true, false
//! I  U                   32-bit integer: zigzag varint, plain varint
//! N                      number: eight bytes, little-endian
//! Z                      bigint: varint of 2 * bytes + sign, magnitude little-endian
//! "  c  S                string: varint of the bytes, then Latin-1, UTF-16LE, or UTF-8
//! o  (key item)* {       object: count of properties at the end
//! A  n item* (key item)* $    dense array: properties beside the elements are rare; two counts
//! a  n (key item)* @     array with holes: elements are properties too
//! ;  (item item)* :      Map: count of keys and values together
//! '  item* ,             Set: count
//! D                      Date: milliseconds as a number
//! y  x  n  z  s          objects around a true, a false, a number, a bigint, a string item
//! R  item flags          RegExp: a string item and a varint
//! r  (tag item)* .       Error
//! B  n ..   ~  n max ..  ArrayBuffer, of a fixed length or not
//! V  kind offset n flags      view: of the buffer, or reference to one, before it
//! \                      host object: what it is, is up to the host
//! ```
//!
//! The versions differ, in what is stored at all, only in the flags of views, which begin with 14.
//! Version 16 has wider lengths of buffers, which look the same below 4 GiB.

pub(super) const VERSION: u8 = 0xff;
/// Those that are read.
pub(super) const VERSION_MIN: u32 = 13;
pub(super) const VERSION_MAX: u32 = 16;
/// The one that is written: what Deno and Node both read.
pub(super) const VERSION_WRITTEN: u8 = 15;
/// The first with flags in views.
pub(super) const VERSION_OF_VIEW_FLAGS: u32 = 14;

pub(super) const PADDING: u8 = 0;
/// Before an item: a varint that old writers left for a check. It says nothing that is needed.
pub(super) const OBJECT_COUNT: u8 = b'?';

pub(super) const UNDEFINED: u8 = b'_';
pub(super) const NULL: u8 = b'0';
pub(super) const TRUE: u8 = b'T';
pub(super) const FALSE: u8 = b'F';
pub(super) const INT32: u8 = b'I';
pub(super) const UINT32: u8 = b'U';
pub(super) const NUMBER: u8 = b'N';
pub(super) const BIGINT: u8 = b'Z';
pub(super) const ONE_BYTE: u8 = b'"';
pub(super) const TWO_BYTE: u8 = b'c';
pub(super) const UTF8: u8 = b'S';
pub(super) const HOLE: u8 = b'-';

pub(super) const REFERENCE: u8 = b'^';
pub(super) const OBJECT: u8 = b'o';
pub(super) const OBJECT_END: u8 = b'{';
pub(super) const DENSE: u8 = b'A';
pub(super) const DENSE_END: u8 = b'$';
pub(super) const SPARSE: u8 = b'a';
pub(super) const SPARSE_END: u8 = b'@';
pub(super) const MAP: u8 = b';';
pub(super) const MAP_END: u8 = b':';
pub(super) const SET: u8 = b'\'';
pub(super) const SET_END: u8 = b',';
pub(super) const DATE: u8 = b'D';
pub(super) const BOXED_TRUE: u8 = b'y';
pub(super) const BOXED_FALSE: u8 = b'x';
pub(super) const BOXED_NUMBER: u8 = b'n';
pub(super) const BOXED_BIGINT: u8 = b'z';
pub(super) const BOXED_STRING: u8 = b's';
pub(super) const REGEXP: u8 = b'R';
pub(super) const ERROR: u8 = b'r';
pub(super) const BUFFER: u8 = b'B';
pub(super) const RESIZABLE_BUFFER: u8 = b'~';
pub(super) const VIEW: u8 = b'V';
pub(super) const HOST_OBJECT: u8 = b'\\';

pub(super) const ERROR_MESSAGE: u8 = b'm';
pub(super) const ERROR_STACK: u8 = b's';
pub(super) const ERROR_CAUSE: u8 = b'c';
pub(super) const ERROR_END: u8 = b'.';

/// The kind of a `Uint8Array` among the views.
pub(super) const UINT8_ARRAY: u8 = b'B';

/// How a host object of Deno's begins; an object that describes it follows.
pub(super) const DENO_HOST_OBJECT: u32 = u32::MAX;

/// The name of an error's constructor, unless it is `Error`, for which there is no tag.
pub(super) fn error_name(tag: u8) -> Option<&'static str> {
    Some(match tag {
        b'E' => "EvalError",
        b'R' => "RangeError",
        b'F' => "ReferenceError",
        b'S' => "SyntaxError",
        b'T' => "TypeError",
        b'U' => "URIError",
        _ => return None,
    })
}

/// The flags of a regular expression as JavaScript shows them.
pub(super) fn regexp_flags(bits: u32) -> String {
    const BY_BIT: &str = "gimyusldv";
    let flags = (0..).zip(BY_BIT.chars());
    let mut flags: Vec<_> = flags.filter(|(bit, _)| bits >> bit & 1 == 1).collect();
    flags.sort_unstable_by_key(|(_, flag)| *flag);
    flags.into_iter().map(|(_, flag)| flag).collect()
}

/// Why a tag is refused that V8 knows, or may come to know.
pub(super) fn refused(tag: u8) -> String {
    let what = match tag {
        b'u' | b'm' | b'p' => "memory that is shared between threads",
        b't' | b'w' => "something that was transferred",
        _ => return format!("unknown tag {tag:#04x}"),
    };
    format!("{what} (tag {tag:#04x}) cannot be stored")
}
