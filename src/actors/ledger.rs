//! Which assignment and which start record a claim stands in, so that a row goes when its last claim is settled.

use std::collections::HashMap;

use crate::domain::Claim;
use crate::store::Done;

/// The rows of one generation that are still needed.
#[derive(Debug, Default)]
pub struct Ledger {
    claims: HashMap<Claim, Places>,
    assignments: HashMap<i64, usize>,
    start_records: HashMap<i64, usize>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Places {
    assignment: Option<i64>,
    start_record: Option<i64>,
}

impl Ledger {
    /// An assignment with these claims; an empty one is done at once.
    pub fn assigned(&mut self, seq: i64, claims: impl IntoIterator<Item = Claim>) -> Done {
        let mut count = 0;
        for claim in claims {
            self.claims.entry(claim).or_default().assignment = Some(seq);
            count += 1;
        }
        if count == 0 {
            return Done { assignments: vec![seq], start_records: Vec::new() };
        }
        self.assignments.insert(seq, count);
        Done::default()
    }

    /// A start record with these claims.
    pub fn started(&mut self, seq: i64, claims: impl IntoIterator<Item = Claim>) {
        let mut count = 0;
        for claim in claims {
            self.claims.entry(claim).or_default().start_record = Some(seq);
            count += 1;
        }
        self.start_records.insert(seq, count);
    }

    /// These claims are settled by the transaction that the answer is for.
    pub fn settled(&mut self, claims: impl IntoIterator<Item = Claim>) -> Done {
        let mut done = Done::default();
        for claim in claims {
            let Some(places) = self.claims.remove(&claim) else { continue };
            done.assignments.extend(places.assignment.and_then(|seq| count_down(&mut self.assignments, seq)));
            done.start_records.extend(places.start_record.and_then(|seq| count_down(&mut self.start_records, seq)));
        }
        done
    }
}

/// One claim less; the row's number when that was its last.
fn count_down(rows: &mut HashMap<i64, usize>, seq: i64) -> Option<i64> {
    let left = rows.get_mut(&seq)?;
    *left = left.saturating_sub(1);
    if *left > 0 {
        return None;
    }
    rows.remove(&seq);
    Some(seq)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::domain::TaskId;

    fn claim(n: u128) -> Claim {
        Claim { id: TaskId(Uuid::from_u128(n)), claim_no: 1 }
    }

    #[test]
    fn a_row_is_done_with_its_last_claim() {
        let mut ledger = Ledger::default();
        ledger.assigned(7, [claim(1), claim(2), claim(3)]);
        ledger.started(9, [claim(1), claim(2)]);
        assert_eq!(ledger.settled([claim(1)]), Done::default());
        assert_eq!(ledger.settled([claim(2)]), Done { assignments: vec![], start_records: vec![9] });
        assert_eq!(ledger.settled([claim(3)]), Done { assignments: vec![7], start_records: vec![] });
    }

    #[test]
    fn an_empty_assignment_is_done_at_once() {
        assert_eq!(Ledger::default().assigned(7, []).assignments, vec![7]);
    }

    #[test]
    fn a_claim_counts_once() {
        let mut ledger = Ledger::default();
        ledger.assigned(7, [claim(1), claim(2)]);
        ledger.settled([claim(1)]);
        assert_eq!(ledger.settled([claim(1)]), Done::default());
    }
}
