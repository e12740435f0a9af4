//! Images: what a request wants, and a real PNG of that size, written here byte by byte so that no codec is needed.
//! Made by `reply`, asked for by the wires. It must not know wires or HTTP.

use sha2::{Digest, Sha256};

/// The image that a request wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Picture {
    /// In pixels; a multiple of eight.
    pub(crate) width: u32,
    pub(crate) height: u32,
    /// What the provider counts for it.
    pub(crate) tokens: u64,
}

impl Picture {
    /// A PNG of two colours whose pattern follows from the prompt, made `bytes` long where it would be shorter.
    pub(crate) fn png(self, prompt: &str, bytes: usize) -> Vec<u8> {
        let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
        let mut header = [self.width.to_be_bytes(), self.height.to_be_bytes()].concat();
        // One bit a pixel, greyscale; deflate, no filters of a kind of its own, not interlaced.
        header.extend([1, 0, 0, 0, 0]);
        chunk(&mut png, *b"IHDR", &header);
        let image = zlib(&self.rows(prompt));
        let rest = image.len() + 2 * CHUNK_FRAME;
        if let Some(padding) = bytes.checked_sub(png.len() + rest + CHUNK_FRAME) {
            // Of a private kind that readers pass over.
            chunk(&mut png, *b"paDd", &vec![0; padding]);
        }
        chunk(&mut png, *b"IDAT", &image);
        chunk(&mut png, *b"IEND", &[]);
        png
    }

    /// Each row is a byte that says "no filter", and the bits of its pixels.
    fn rows(self, prompt: &str) -> Vec<u8> {
        let pattern = Sha256::digest(prompt);
        let row = |down: usize| {
            let pixels =
                (0..self.width as usize / 8).map(move |across| pattern[(down / 64 + across / 8) % pattern.len()]);
            std::iter::once(0).chain(pixels)
        };
        (0..self.height as usize).flat_map(row).collect()
    }
}

/// Bytes of a chunk besides its data.
const CHUNK_FRAME: usize = 12;

/// A chunk of a PNG (PNG, third edition, 5.3): length, kind, data, checksum.
fn chunk(png: &mut Vec<u8>, kind: [u8; 4], data: &[u8]) {
    png.extend((data.len() as u32).to_be_bytes());
    let start = png.len();
    png.extend(kind);
    png.extend(data);
    let checksum = crc32(&png[start..]);
    png.extend(checksum.to_be_bytes());
}

/// The data as zlib (RFC 1950) with deflate blocks that are only stored (RFC 1951, 3.2.4).
fn zlib(data: &[u8]) -> Vec<u8> {
    let mut out = vec![0x78, 0x01];
    let mut blocks = data.chunks(usize::from(u16::MAX)).peekable();
    while let Some(block) = blocks.next() {
        let length = block.len() as u16;
        out.push(u8::from(blocks.peek().is_none()));
        out.extend(length.to_le_bytes());
        out.extend((!length).to_le_bytes());
        out.extend(block);
    }
    out.extend(adler32(data).to_be_bytes());
    out
}

fn crc32(data: &[u8]) -> u32 {
    let step = |crc: u32, byte: &u8| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 })
    };
    !data.iter().fold(!0, step)
}

fn adler32(data: &[u8]) -> u32 {
    const MODULUS: u32 = 65_521;
    let (low, high) = data.iter().fold((1, 0), |(low, high), byte| {
        let low = (low + u32::from(*byte)) % MODULUS;
        (low, (high + low) % MODULUS)
    });
    high << 16 | low
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIDE: Picture = Picture { width: 1_536, height: 1_024, tokens: 0 };

    #[test]
    fn checksums_are_those_of_the_standards() {
        // The check value of CRC-32/ISO-HDLC, and the example of Adler-32 on Wikipedia.
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(adler32(b"Wikipedia"), 0x11e6_0398);
        // The end of every PNG.
        let mut end = Vec::new();
        chunk(&mut end, *b"IEND", &[]);
        assert_eq!(end, b"\x00\x00\x00\x00IEND\xaeB`\x82");
    }

    #[test]
    fn an_image_has_its_size_its_pattern_and_its_length() {
        let png = WIDE.png("a fox", 0);
        assert!(png.starts_with(b"\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR\x00\x00\x06\x00\x00\x00\x04\x00\x01\x00"));
        assert!(png.ends_with(b"IEND\xaeB`\x82"));
        assert_eq!(png, WIDE.png("a fox", 0));
        assert_ne!(png, WIDE.png("a dog", 0));
        assert_eq!(WIDE.png("a fox", 1_048_576).len(), 1_048_576);
        assert_eq!(WIDE.rows("a fox").len(), (1_536 / 8 + 1) * 1_024);
    }
}
