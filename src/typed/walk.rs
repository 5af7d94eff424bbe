//! Going over items without making anything of them: to skip one, or to find all objects.

use super::fault::{Fault, Result};
use super::head::Head;
use super::input::Input;
use super::tag;

/// How deep items may lie in each other, so that no value can exhaust the stack.
pub(super) const DEPTH_MAX: usize = 128;

/// How many options and newtypes may lie around each other, of all that are open at once: a type can
/// nest them without end around nothing.
pub(super) const WRAPPERS_MAX: usize = 4 * DEPTH_MAX;

/// Where an object stands, by whose number references name it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Object {
    pub(super) form: Form,
    pub(super) start: usize,
    /// Behind the last byte of it.
    pub(super) end: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Anything that is read from its start on.
    Item,
    /// A buffer. A view may follow it, which is another object.
    Buffer,
}

/// Skips the next item.
pub(super) fn skip(input: &mut Input<'_>, depth: usize) -> Result<()> {
    Walk { objects: None }.item(input, depth)
}

/// All objects of a value, by their numbers. `input` is at its beginning.
pub(super) fn objects(mut input: Input<'_>) -> Result<Vec<Object>> {
    let mut walk = Walk {
        objects: Some(Vec::new()),
    };
    walk.item(&mut input, 0)?;
    Ok(walk.objects.unwrap_or_default())
}

#[cold]
pub(super) fn too_deep(offset: usize) -> Fault {
    Fault::malformed(format!("more than {DEPTH_MAX} levels"), offset)
}

struct Walk {
    /// Those met so far, if they are wanted. They begin in the order of their numbers.
    objects: Option<Vec<Object>>,
}

impl Walk {
    fn item(&mut self, input: &mut Input<'_>, depth: usize) -> Result<()> {
        let tag = input.peek()?;
        let start = input.position();
        if depth > DEPTH_MAX {
            return Err(too_deep(start));
        }
        match tag {
            tag::BUFFER | tag::RESIZABLE_BUFFER => {
                let number = self.begin(start, Form::Buffer);
                let buffer = input.buffer()?;
                self.end(number, input);
                if input.view(Some(buffer))?.is_some() {
                    let number = self.begin(start, Form::Item);
                    self.end(number, input);
                }
                return Ok(());
            }
            tag::REFERENCE => {
                input.head()?;
                if input.view(None)?.is_some() {
                    let number = self.begin(start, Form::Item);
                    self.end(number, input);
                }
                return Ok(());
            }
            _ => {}
        }
        let number = is_object(tag).then(|| self.begin(start, Form::Item));
        let head = input.head()?;
        if tag == tag::HOST_OBJECT && matches!(head, Head::Object) {
            // The description is an object too, and its tag the byte before.
            let number = self.begin(input.position() - 1, Form::Item);
            self.content(head, input, depth)?;
            self.end(number, input);
        } else {
            self.content(head, input, depth)?;
        }
        if let Some(number) = number {
            self.end(number, input);
        }
        Ok(())
    }

    /// The items in an item.
    fn content(&mut self, head: Head<'_>, input: &mut Input<'_>, depth: usize) -> Result<()> {
        match head {
            Head::Object => {
                let count = self.pairs(input, tag::OBJECT_END, depth)?;
                input.expect_count(count)
            }
            Head::Sparse(length) => {
                let count = self.pairs(input, tag::SPARSE_END, depth)?;
                input.expect_count(count)?;
                input.expect_count(length)
            }
            Head::Dense(length) => {
                for _ in 0..length {
                    if !input.skip_tag(tag::HOLE)? {
                        self.item(input, depth + 1)?;
                    }
                }
                let count = self.pairs(input, tag::DENSE_END, depth)?;
                input.expect_count(count)?;
                input.expect_count(length)
            }
            Head::Map => {
                let count = self.pairs(input, tag::MAP_END, depth)?;
                input.expect_count(count * 2)
            }
            Head::Set => {
                let mut count = 0;
                while !input.skip_tag(tag::SET_END)? {
                    self.item(input, depth + 1)?;
                    count += 1;
                }
                input.expect_count(count)
            }
            Head::Error => self.error(input, depth),
            _ => Ok(()),
        }
    }

    /// Keys and values, up to a tag; how many there were.
    fn pairs(&mut self, input: &mut Input<'_>, end: u8, depth: usize) -> Result<usize> {
        let mut count = 0;
        while !input.skip_tag(end)? {
            self.item(input, depth + 1)?;
            self.item(input, depth + 1)?;
            count += 1;
        }
        Ok(count)
    }

    fn error(&mut self, input: &mut Input<'_>, depth: usize) -> Result<()> {
        loop {
            let start = input.position();
            match input.next_byte()? {
                tag::ERROR_MESSAGE | tag::ERROR_STACK => drop(input.text()?),
                tag::ERROR_CAUSE => self.item(input, depth + 1)?,
                tag::ERROR_END => return Ok(()),
                tag if tag::error_name(tag).is_some() => {}
                tag => {
                    let what = format!("unknown part of an error {tag:#04x}");
                    return Err(Fault::malformed(what, start));
                }
            }
        }
    }

    /// Gives an object its number.
    fn begin(&mut self, start: usize, form: Form) -> usize {
        let Some(objects) = &mut self.objects else {
            return 0;
        };
        let end = usize::MAX;
        objects.push(Object { form, start, end });
        objects.len() - 1
    }

    fn end(&mut self, number: usize, input: &Input<'_>) {
        let objects = self.objects.as_mut();
        if let Some(object) = objects.and_then(|objects| objects.get_mut(number)) {
            object.end = input.position();
        }
    }
}

/// Whether what a tag begins is an object, other than a buffer.
fn is_object(tag: u8) -> bool {
    matches!(
        tag,
        tag::OBJECT
            | tag::DENSE
            | tag::SPARSE
            | tag::MAP
            | tag::SET
            | tag::DATE
            | tag::BOXED_TRUE
            | tag::BOXED_FALSE
            | tag::BOXED_NUMBER
            | tag::BOXED_BIGINT
            | tag::BOXED_STRING
            | tag::REGEXP
            | tag::ERROR
            | tag::HOST_OBJECT
    )
}
