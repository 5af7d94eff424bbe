//! Room made beforehand, so that what must not fail does not allocate.

use super::{OutOfMemory, may_allocate};
use smallvec::{Array, SmallVec};
use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, Hash};

/// A list, queue or map that grows by allocating.
pub(crate) trait Grow {
    const ITEM_BYTES: usize;

    fn len(&self) -> usize;

    /// How many it has room for.
    fn capacity(&self) -> usize;

    /// Makes room for so many more; `false` where the allocator refuses.
    fn try_grow(&mut self, more: usize) -> bool;
}

/// Room for so many more, if the allocator gives it.
#[inline]
pub(crate) fn reserve(list: &mut impl Grow, more: usize) -> Result<(), OutOfMemory> {
    if list.capacity() - list.len() >= more {
        return Ok(());
    }
    grow(list, more)
}

#[cold]
fn grow<L: Grow>(list: &mut L, more: usize) -> Result<(), OutOfMemory> {
    let bytes = list
        .len()
        .saturating_add(more)
        .saturating_mul(L::ITEM_BYTES);
    may_allocate(bytes)?;
    if list.try_grow(more) {
        Ok(())
    } else {
        Err(OutOfMemory::of_bytes(bytes))
    }
}

macro_rules! grow {
    ($item:ty) => {
        const ITEM_BYTES: usize = size_of::<$item>();

        fn len(&self) -> usize {
            self.len()
        }

        fn capacity(&self) -> usize {
            self.capacity()
        }

        fn try_grow(&mut self, more: usize) -> bool {
            self.try_reserve(more).is_ok()
        }
    };
}

impl<T> Grow for Vec<T> {
    grow!(T);
}

impl<T> Grow for VecDeque<T> {
    grow!(T);
}

impl<A: Array> Grow for SmallVec<A> {
    grow!(A::Item);
}

impl<K: Eq + Hash, V, S: BuildHasher> Grow for HashMap<K, V, S> {
    grow!((K, V));
}
