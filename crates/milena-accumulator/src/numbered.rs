//! What waits, or was answered, by numbers given in order of arrival.

use std::collections::VecDeque;

/// Values by number. New numbers are larger than those before, and the oldest leave first, or nearly so: both are as
/// cheap as with a queue. Any other is found by halving, and closes up the shorter side when it leaves.
///
/// A `BTreeMap` would do as well, for much more code in every crate that builds one.
pub(crate) struct Numbered<T>(VecDeque<(u64, T)>);

impl<T> Default for Numbered<T> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

impl<T> Numbered<T> {
    pub(crate) fn insert(&mut self, id: u64, value: T) {
        match self.place(id) {
            Ok(at) => self.0[at].1 = value,
            Err(at) => self.0.insert(at, (id, value)),
        }
    }

    pub(crate) fn remove(&mut self, id: u64) -> Option<T> {
        let at = self.place(id).ok()?;
        self.0.remove(at).map(|(_, value)| value)
    }

    pub(crate) fn get(&self, id: u64) -> Option<&T> {
        let at = self.place(id).ok()?;
        self.0.get(at).map(|(_, value)| value)
    }

    pub(crate) fn get_mut(&mut self, id: u64) -> Option<&mut T> {
        let at = self.place(id).ok()?;
        self.0.get_mut(at).map(|(_, value)| value)
    }

    /// The one with the lowest number.
    pub(crate) fn first(&self) -> Option<(u64, &T)> {
        self.0.front().map(|(id, value)| (*id, value))
    }

    /// In the order of their numbers.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, &T)> {
        self.0.iter().map(|(id, value)| (*id, value))
    }

    /// In the order of their numbers.
    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.0.iter_mut().map(|(_, value)| value)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Where the number is, or belongs.
    fn place(&self, id: u64) -> Result<usize, usize> {
        // Who comes is mostly the last.
        if self.0.back().is_some_and(|(last, _)| *last < id) {
            return Err(self.0.len());
        }
        self.0.binary_search_by_key(&id, |(id, _)| *id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_found_in_whatever_order_they_come_and_go() {
        let mut numbered = Numbered::default();
        for id in [3, 7, 5, 1, 9, 7] {
            numbered.insert(id, id * 10);
        }
        let all = |numbered: &Numbered<u64>| numbered.iter().map(|(id, _)| id).collect::<Vec<_>>();
        assert_eq!(all(&numbered), [1, 3, 5, 7, 9]);
        assert_eq!(numbered.first(), Some((1, &10)));
        assert_eq!(numbered.remove(5), Some(50));
        assert_eq!(numbered.remove(5), None);
        assert_eq!(numbered.remove(10), None);
        assert_eq!(numbered.get(7), Some(&70));
        for value in numbered.values_mut() {
            *value += 1;
        }
        assert_eq!(numbered.get_mut(9), Some(&mut 91));
        assert_eq!(all(&numbered), [1, 3, 7, 9]);
        assert_eq!(numbered.len(), 4);
        while let Some((id, _)) = numbered.first() {
            assert!(numbered.remove(id).is_some());
        }
        assert!(numbered.is_empty());
    }
}
