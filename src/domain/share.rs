//! Who reads which partition: shared out by rank among the generations that live. Nobody needs to agree: an overlap while
//! two nodes see different neighbours is harmless, since a partition's offset moves only from where it was expected.

use super::ids::GenerationId;

/// The partitions of `own` among `partitions`, of which the `living` take turns.
pub fn share(own: GenerationId, living: &[GenerationId], partitions: i32) -> Vec<i32> {
    let mut ranks: Vec<GenerationId> = living.iter().copied().chain([own]).collect();
    ranks.sort_unstable();
    ranks.dedup();
    let (Some(rank), Ok(nodes)) = (ranks.iter().position(|one| *one == own), i32::try_from(ranks.len())) else {
        return Vec::new();
    };
    let Ok(rank) = i32::try_from(rank) else { return Vec::new() };
    (0..partitions).filter(|partition| partition % nodes == rank).collect()
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn id(n: u128) -> GenerationId {
        GenerationId(Uuid::from_u128(n))
    }

    #[test]
    fn every_partition_has_one_reader() {
        let living = [id(3), id(1), id(2)];
        let mut all: Vec<i32> = living.iter().flat_map(|own| share(*own, &living, 7)).collect();
        all.sort_unstable();
        assert_eq!(all, [0, 1, 2, 3, 4, 5, 6]);
        assert_eq!(share(id(2), &living, 7), [1, 4]);
    }

    #[test]
    fn who_is_not_seen_yet_counts_itself() {
        assert_eq!(share(id(1), &[], 2), [0, 1]);
        assert_eq!(share(id(2), &[id(1)], 2), [1]);
        assert!(share(id(9), &[id(1), id(2)], 2).is_empty(), "more nodes than partitions");
    }
}
