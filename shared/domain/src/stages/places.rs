//! The places of a comparison, and who may be asked about them: judges can be kept from what models of their own family write. Who
//! writes what will stand in a place is known beforehand, unless only the best answers are compared.

use std::iter::repeat_n;

use crate::run::ModelSpec;

/// The places of a comparison, before anything stands in them.
#[derive(Debug, Clone, PartialEq)]
pub struct Places<'a> {
    places: Vec<Place<'a>>,
    /// Who writes the answers of which the best are compared.
    models: &'a [ModelSpec],
    iterations: usize,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Place<'a> {
    /// For what this one writes, or for what no model does.
    Of(Option<&'a ModelSpec>),
    /// For one of the best answers.
    Best,
}

impl<'a> Places<'a> {
    /// Those of so many of the best answers that these models write, so many times each. Where that is all of them, each has the
    /// place that it has in the order of the run's list.
    pub fn of_best(models: &'a [ModelSpec], iterations: usize, count: usize) -> Self {
        let places = if count < models.len().saturating_mul(iterations) {
            vec![Place::Best; count]
        } else {
            models.iter().flat_map(|model| repeat_n(Place::Of(Some(model)), iterations)).collect()
        };
        Self { places, models, iterations }
    }

    /// With more places behind them, for what each of these writes.
    #[must_use]
    pub fn and(mut self, writers: impl IntoIterator<Item = Option<&'a ModelSpec>>) -> Self {
        self.places.extend(writers.into_iter().map(Place::Of));
        self
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.places.len()
    }

    /// What any judge may be asked about.
    pub(super) fn open(&self) -> Open {
        Open { places: vec![Standing::Another; self.count()], others: usize::MAX }
    }

    /// What a judge may be asked about that is kept from its own family. `is_own`: whether a writer is of that.
    pub(super) fn open_to(&self, is_own: impl Fn(&ModelSpec) -> bool) -> Open {
        let standing = |place: &Place<'_>| match place {
            Place::Of(Some(writer)) if is_own(writer) => Standing::Own,
            Place::Of(_) => Standing::Another,
            Place::Best => Standing::Unknown,
        };
        let others = self.models.iter().filter(|writer| !is_own(writer)).count();
        Open { places: self.places.iter().map(standing).collect(), others: others.saturating_mul(self.iterations) }
    }
}

/// Which pairs of places a judge may be asked about: surely not, or perhaps.
pub(super) struct Open {
    places: Vec<Standing>,
    /// How many of the answers of which the best are compared are not of its own family.
    others: usize,
}

/// What will stand in a place, for a judge.
#[derive(Clone, Copy, PartialEq)]
enum Standing {
    Own,
    Another,
    Unknown,
}

impl Open {
    /// Whether the judge may be asked about these two.
    pub(super) fn holds(&self, left: usize, right: usize) -> bool {
        match [left, right].map(|place| self.places.get(place).copied()) {
            [Some(Standing::Another), Some(Standing::Another)] => true,
            [Some(Standing::Another), Some(Standing::Unknown)] | [Some(Standing::Unknown), Some(Standing::Another)] => {
                self.others >= 1
            }
            [Some(Standing::Unknown), Some(Standing::Unknown)] => self.others >= 2,
            _ => false,
        }
    }

    /// How many pairs there are for which `holds`; told without making them.
    pub(super) fn count(&self) -> u64 {
        let of = |wanted: Standing| self.places.iter().filter(|standing| **standing == wanted).count() as u64;
        let two_of = |count: u64| count.saturating_mul(count.saturating_sub(1)) / 2;
        let (known, unknown) = (of(Standing::Another), of(Standing::Unknown));
        let mixed = if self.others >= 1 { known.saturating_mul(unknown) } else { 0 };
        let of_the_best = if self.others >= 2 { two_of(unknown) } else { 0 };
        two_of(known).saturating_add(mixed).saturating_add(of_the_best)
    }
}
