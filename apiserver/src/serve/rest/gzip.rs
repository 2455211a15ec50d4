//! Large answers compressed, for clients that take them so.

use std::io::Write;

use bytes::Bytes;
use ferrule_apimachinery::status::Status;
use flate2::Compression;
use flate2::write::GzEncoder;

/// Answers of up to so many bytes are never compressed.
pub(super) const THRESHOLD: usize = 128 << 10;

/// As upstream: the server's time counts for more than the last bytes.
const LEVEL: Compression = Compression::fast();

/// A whole answer, compressed.
pub(super) fn whole(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 4), LEVEL);
    // Writing to a Vec cannot fail.
    let _ = encoder.write_all(bytes);
    encoder.finish().unwrap_or_default()
}

/// Pieces of an answer, compressed as they come.
pub(super) struct Compressed<P> {
    pieces: P,
    encoder: Option<GzEncoder<Vec<u8>>>,
}

impl<P> Compressed<P> {
    pub(super) fn new(pieces: P) -> Compressed<P> {
        Compressed {
            pieces,
            encoder: Some(GzEncoder::new(Vec::new(), LEVEL)),
        }
    }
}

impl<P: Iterator<Item = Result<Bytes, Status>>> Iterator for Compressed<P> {
    type Item = Result<Bytes, Status>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let encoder = self.encoder.as_mut()?;
            match self.pieces.next() {
                Some(Ok(piece)) => {
                    // Writing to a Vec cannot fail.
                    let _ = encoder.write_all(&piece);
                    let out = std::mem::take(encoder.get_mut());
                    if !out.is_empty() {
                        return Some(Ok(out.into()));
                    }
                }
                Some(Err(status)) => {
                    self.encoder = None;
                    return Some(Err(status));
                }
                None => {
                    let rest = self.encoder.take()?.finish();
                    return Some(rest.map(Bytes::from).map_err(Status::internal));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::GzDecoder;

    use super::*;

    fn unpacked(bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        GzDecoder::new(bytes).read_to_end(&mut out).unwrap();
        out
    }

    #[test]
    fn what_was_compressed_comes_out_again() {
        let text: Vec<u8> = (0..300_000u32).flat_map(u32::to_le_bytes).collect();
        assert_eq!(unpacked(&whole(&text)), text);
        let pieces = text.chunks(65_536).map(|it| Ok(Bytes::copy_from_slice(it)));
        let packed: Result<Vec<Bytes>, Status> = Compressed::new(pieces).collect();
        assert_eq!(unpacked(&packed.unwrap().concat()), text);
    }

    #[test]
    fn a_failure_ends_the_answer() {
        let pieces = [Ok(Bytes::from_static(b"a")), Err(Status::internal("x"))].into_iter();
        let mut packed = Compressed::new(pieces);
        assert!(packed.any(|piece| piece.is_err()));
        assert!(packed.next().is_none());
    }
}
