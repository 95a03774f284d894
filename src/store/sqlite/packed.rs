//! Lists of claims in two blobs: ids of 16 bytes, claim numbers of 8 (big-endian). One row holds a whole batch.

use uuid::Uuid;

use crate::domain::{Claim, TaskId};
use crate::store::{Result, StoreError};

/// Both lists of `claims`.
pub fn pack(claims: &[Claim]) -> (Vec<u8>, Vec<u8>) {
    let ids = claims.iter().flat_map(|claim| *claim.id.0.as_bytes()).collect();
    let claim_nos = claims.iter().flat_map(|claim| claim.claim_no.to_be_bytes()).collect();
    (ids, claim_nos)
}

/// The claims of both lists.
pub fn unpack(ids: &[u8], claim_nos: &[u8]) -> Result<Vec<Claim>> {
    let (ids, ids_rest) = ids.as_chunks::<16>();
    let (claim_nos, claim_nos_rest) = claim_nos.as_chunks::<8>();
    if ids.len() != claim_nos.len() || !ids_rest.is_empty() || !claim_nos_rest.is_empty() {
        return Err(StoreError::Unreadable("a packed list of claims has parts of different lengths".to_owned()));
    }
    let claim = |(id, claim_no): (&[u8; 16], &[u8; 8])| Claim {
        id: TaskId(Uuid::from_bytes(*id)),
        claim_no: i64::from_be_bytes(*claim_no),
    };
    Ok(ids.iter().zip(claim_nos).map(claim).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comes_back_as_it_was() {
        let claims: Vec<Claim> =
            (0..5).map(|n| Claim { id: TaskId(Uuid::from_u128(n)), claim_no: i64::MAX - 3 }).collect();
        let (ids, claim_nos) = pack(&claims);
        assert_eq!(unpack(&ids, &claim_nos).unwrap(), claims);
    }

    #[test]
    fn a_torn_list_is_an_error() {
        assert!(unpack(&[0; 16], &[]).is_err());
        assert!(unpack(&[0; 15], &[0; 8]).is_err());
    }
}
