//! How much of what judges wrote a view holds. Figures are never cut.

/// How many single judgements a view lists, and how much of each reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Detail {
    /// At most so many sheets, votes or rankings of each stage; how many were left out is said beside them.
    pub rows: usize,
    /// At most so many characters of each reason; a cut one ends in `…`.
    pub reason_characters: usize,
}

impl Detail {
    /// What fits into an answer: 1,000 judgements of each stage, 1,000 characters of each reason.
    pub const ANSWER: Self = Self { rows: 1_000, reason_characters: 1_000 };
    /// Everything.
    pub const ALL: Self = Self { rows: usize::MAX, reason_characters: usize::MAX };

    /// The reason, cut.
    pub(super) fn reason(self, reason: &str) -> String {
        match reason.char_indices().nth(self.reason_characters) {
            Some((end, _)) => format!("{}…", &reason[..end]),
            None => reason.to_owned(),
        }
    }

    /// The first rows, and how many are left out.
    pub(super) fn cut<T>(self, mut rows: Vec<T>) -> (Vec<T>, usize) {
        let left_out = rows.len().saturating_sub(self.rows);
        rows.truncate(self.rows);
        (rows, left_out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_cut_between_characters() {
        let detail = Detail { rows: 1, reason_characters: 3 };
        assert_eq!(detail.reason("äöü"), "äöü");
        assert_eq!(detail.reason("äöüß"), "äöü…");
        assert_eq!(detail.cut(vec![1, 2, 3]), (vec![1], 2));
        assert_eq!(Detail::ALL.cut(vec![1, 2, 3]), (vec![1, 2, 3], 0));
    }
}
