//! gzip, both ways: packing answers, unpacking bodies as they come in, piece by piece.

use std::io::{self, Write as _};

use bytes::{Buf as _, Bytes};
use flate2::Compression;
use flate2::write::{GzEncoder, MultiGzDecoder};

/// Packs it. Fast rather than small: the node has targets to call.
pub fn packed(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 4), Compression::fast());
    encoder.write_all(bytes)?;
    encoder.finish()
}

/// Unpacks what it is fed. It never holds more than a piece that is unpacked, about 32 KiB: whoever takes the pieces stops
/// when they have become too many.
pub struct Unpacker {
    decoder: MultiGzDecoder<Vec<u8>>,
    fed: Bytes,
}

impl Unpacker {
    /// Nothing is fed yet.
    pub fn new() -> Self {
        Self { decoder: MultiGzDecoder::new(Vec::new()), fed: Bytes::new() }
    }

    /// What came in. Only when [`Self::next`] has nothing more to give.
    pub fn feed(&mut self, bytes: Bytes) {
        self.fed = bytes;
    }

    /// The next piece of what was fed; `None`: more must be fed.
    ///
    /// # Errors
    /// It is no gzip.
    pub fn next(&mut self) -> io::Result<Option<Bytes>> {
        while !self.fed.is_empty() {
            let taken = self.decoder.write(&self.fed)?;
            if taken == 0 {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "something stands after its end"));
            }
            self.fed.advance(taken);
            if let Some(piece) = self.unpacked() {
                return Ok(Some(piece));
            }
        }
        Ok(None)
    }

    /// What is left when all is fed.
    ///
    /// # Errors
    /// It ends in its midst, or its checksum is another.
    pub fn finish(&mut self) -> io::Result<Option<Bytes>> {
        self.decoder.try_finish()?;
        Ok(self.unpacked())
    }

    fn unpacked(&mut self) -> Option<Bytes> {
        let piece = std::mem::take(self.decoder.get_mut());
        (!piece.is_empty()).then(|| piece.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fed in parts of this many bytes; what came out, and the largest piece.
    fn unpacked(packed: &[u8], part: usize) -> io::Result<(Vec<u8>, usize)> {
        let (mut unpacker, mut all, mut largest) = (Unpacker::new(), Vec::new(), 0);
        let mut take = |piece: Bytes| {
            largest = largest.max(piece.len());
            all.extend_from_slice(&piece);
        };
        for bytes in packed.chunks(part) {
            unpacker.feed(Bytes::copy_from_slice(bytes));
            while let Some(piece) = unpacker.next()? {
                take(piece);
            }
        }
        unpacker.finish()?.into_iter().for_each(take);
        Ok((all, largest))
    }

    #[test]
    fn comes_back_as_it_went_in_whatever_parts() {
        let text = "{\"delay_ms\": 1} é\n".repeat(10_000).into_bytes();
        let small = packed(&text).unwrap();
        assert!(small.len() * 10 < text.len());
        for part in [1, 7, 4_096, usize::MAX] {
            assert_eq!(unpacked(&small, part).unwrap().0, text, "{part}");
        }
        let twice = [small.clone(), small].concat();
        assert_eq!(unpacked(&twice, 1_000).unwrap().0.len(), 2 * text.len(), "members follow each other");
        assert_eq!(unpacked(&packed(b"").unwrap(), 1).unwrap().0, b"");
    }

    #[test]
    fn a_bomb_comes_out_in_small_pieces() {
        let bomb = packed(&vec![0; 64 * 1024 * 1024]).unwrap();
        let (all, largest) = unpacked(&bomb, usize::MAX).unwrap();
        assert_eq!(all.len(), 64 * 1024 * 1024);
        assert!(largest <= 64 * 1024, "{largest}");
    }

    #[test]
    fn what_is_no_gzip_is_refused() {
        let good = packed(b"{}").unwrap();
        let mut wrong_sum = good.clone();
        let at = wrong_sum.len() - 6;
        wrong_sum[at] ^= 1;
        for bad in [b"".as_slice(), b"{}", &good[..good.len() - 1], &good[..5], &wrong_sum] {
            assert!(unpacked(bad, 4).is_err(), "{bad:?}");
        }
        assert!(unpacked(&[good.as_slice(), b"rubbish that follows"].concat(), 4).is_err());
    }
}
