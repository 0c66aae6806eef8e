// A text as a QR code (ISO/IEC 18004): byte mode, error correction L, which suits a screen.

/** Error correction codewords per block and number of blocks at level L, by version from 1 (ISO/IEC 18004, table 9). */
const CORRECTION = [
  7, 10, 15, 20, 26, 18, 20, 24, 30, 18, 20, 24, 26, 30, 22, 24, 28, 30, 28, 28, 28, 28, 30, 30, 26, 28, 30, 30, 30, 30,
  30, 30, 30, 30, 30, 30, 30, 30, 30, 30,
];
const BLOCKS = [
  1, 1, 1, 1, 1, 2, 2, 2, 2, 4, 4, 4, 4, 4, 6, 6, 6, 6, 7, 8, 8, 9, 9, 10, 12, 12, 12, 13, 14, 15, 16, 17, 18, 19, 19, 20,
  21, 22, 24, 25,
];
const QUIET = 4;

/** An SVG image with the code; dark on white in every theme, as scanners want it. */
export function qrCode(text, label) {
  const modules = qrModules(text);
  const size = modules.length + 2 * QUIET;
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  const dots = modules.flatMap((row, y) => row.map((dark, x) => (dark ? `M${x + QUIET} ${y + QUIET}h1v1h-1z` : "")));
  path.setAttribute("d", dots.join(""));
  for (const [name, value] of Object.entries({ class: "qr", viewBox: `0 0 ${size} ${size}`, role: "img", "aria-label": label })) {
    svg.setAttribute(name, value);
  }
  svg.append(path);
  return svg;
}

/** The code as rows of booleans, true for dark. Throws a RangeError for a text of more than 2953 bytes. */
export function qrModules(text) {
  const bytes = [...new TextEncoder().encode(text)];
  let version = 1;
  while (bytes.length > dataCodewords(version) - (version < 10 ? 2 : 3)) if (++version > 40) throw new RangeError("too long");
  const grid = new Grid(version);
  grid.fill(withCorrection(dataOf(bytes, version), version));
  return grid.modules;
}

function totalCodewords(version) {
  const aligned = version < 2 ? 0 : Math.floor(version / 7) + 2;
  const patterns = (aligned ? (25 * aligned - 10) * aligned - 55 : 0) + (version < 7 ? 0 : 36);
  return Math.floor(((16 * version + 128) * version + 64 - patterns) / 8);
}

const dataCodewords = (version) => totalCodewords(version) - CORRECTION[version - 1] * BLOCKS[version - 1];

/** Mode, length and bytes as codewords, padded. */
function dataOf(bytes, version) {
  const length = version < 10 ? [bytes.length] : [bytes.length >> 8, bytes.length & 255];
  const halves = [4, ...[...length, ...bytes].flatMap((byte) => [byte >> 4, byte & 15]), 0];
  const codewords = [];
  for (let at = 0; at < halves.length; at += 2) codewords.push((halves[at] << 4) | halves[at + 1]);
  for (let pad = 0xec; codewords.length < dataCodewords(version); pad ^= 0xec ^ 0x11) codewords.push(pad);
  return codewords;
}

/** The data in blocks, each with its Reed-Solomon codewords, interleaved. */
function withCorrection(data, version) {
  const count = BLOCKS[version - 1];
  const correction = CORRECTION[version - 1];
  const longer = data.length % count;
  const blocks = [];
  for (let at = 0; blocks.length < count; ) {
    const end = at + Math.floor(data.length / count) + (blocks.length >= count - longer ? 1 : 0);
    blocks.push(data.slice(at, end));
    at = end;
  }
  const remainders = blocks.map((block) => remainder(block, generator(correction)));
  return [...interleaved(blocks), ...interleaved(remainders)];
}

const interleaved = (blocks) =>
  Array.from({ length: Math.max(...blocks.map((block) => block.length)) }, (_, at) => blocks.map((block) => block[at]))
    .flat()
    .filter((codeword) => codeword !== undefined);

/** Product in GF(2⁸) modulo x⁸+x⁴+x³+x²+1. */
function times(one, other) {
  let product = 0;
  for (let bit = 7; bit >= 0; bit--) product = (product << 1) ^ ((product >> 7) * 0x11d) ^ (((other >> bit) & 1) * one);
  return product;
}

/** (x−1)(x−2)(x−4)… without its leading 1, highest power first. */
function generator(degree) {
  let polynomial = [1];
  for (let i = 0, root = 1; i < degree; i++, root = times(root, 2)) {
    const shifted = [...polynomial, 0];
    polynomial = shifted.map((value, at) => value ^ times(at ? polynomial[at - 1] : 0, root));
  }
  return polynomial.slice(1);
}

function remainder(data, divisor) {
  const rest = Array(divisor.length).fill(0);
  for (const codeword of data) {
    const factor = codeword ^ rest.shift();
    rest.push(0);
    divisor.forEach((value, at) => (rest[at] ^= times(value, factor)));
  }
  return rest;
}

/** `value` followed by its BCH check bits. */
function checked(value, polynomial, bits) {
  let rest = value;
  for (let i = 0; i < bits; i++) rest = (rest << 1) ^ ((rest >> (bits - 1)) * polynomial);
  return (value << bits) | rest;
}

class Grid {
  constructor(version) {
    this.version = version;
    this.size = 17 + 4 * version;
    this.modules = Array.from({ length: this.size }, () => Array(this.size).fill(false));
    this.fixed = Array.from({ length: this.size }, () => Array(this.size).fill(false));
    this.#drawPatterns();
    this.#drawFormat();
    if (version >= 7) this.#drawVersion();
  }

  #set(x, y, dark) {
    if (x < 0 || y < 0 || x >= this.size || y >= this.size) return;
    this.modules[y][x] = Boolean(dark);
    this.fixed[y][x] = true;
  }

  #drawPatterns() {
    const last = this.size - 1;
    for (let i = 0; i < this.size; i++) {
      this.#set(i, 6, i % 2 === 0);
      this.#set(6, i, i % 2 === 0);
    }
    for (const [x, y] of [[3, 3], [last - 3, 3], [3, last - 3]]) this.#square(x, y, 4, [0, 1, 3]);
    const places = this.#alignments();
    const [low, high] = [places[0], places.at(-1)];
    for (const x of places) {
      for (const y of places) {
        const isFinder = (x === low && y === low) || (x === low && y === high) || (x === high && y === low);
        if (!isFinder) this.#square(x, y, 2, [0, 2]);
      }
    }
  }

  /** Concentric squares around (x, y), dark at these distances. */
  #square(x, y, radius, dark) {
    for (let dy = -radius; dy <= radius; dy++) {
      for (let dx = -radius; dx <= radius; dx++) {
        this.#set(x + dx, y + dy, dark.includes(Math.max(Math.abs(dx), Math.abs(dy))));
      }
    }
  }

  #alignments() {
    if (this.version === 1) return [];
    const count = Math.floor(this.version / 7) + 2;
    const step = this.version === 32 ? 26 : Math.ceil((this.size - 13) / (2 * count - 2)) * 2;
    return [6, ...Array.from({ length: count - 1 }, (_, i) => this.size - 7 - (count - 2 - i) * step)];
  }

  /** Level L (01) and mask 0 (000), in both places, and the module that is always dark. */
  #drawFormat() {
    const bits = checked(0b01000, 0x537, 10) ^ 0x5412;
    const bit = (i) => (bits >> i) & 1;
    const last = this.size - 1;
    for (let i = 0; i < 8; i++) {
      this.#set(8, i < 6 ? i : i + 1, bit(i));
      this.#set(last - i, 8, bit(i));
    }
    this.#set(7, 8, bit(8));
    for (let i = 9; i < 15; i++) this.#set(14 - i, 8, bit(i));
    for (let i = 8; i < 15; i++) this.#set(8, last - 14 + i, bit(i));
    this.#set(8, last - 7, true);
  }

  #drawVersion() {
    const bits = checked(this.version, 0x1f25, 12);
    for (let i = 0; i < 18; i++) {
      const [far, near] = [this.size - 11 + (i % 3), Math.floor(i / 3)];
      this.#set(far, near, (bits >> i) & 1);
      this.#set(near, far, (bits >> i) & 1);
    }
  }

  /** The codewords in pairs of columns from the right, up and down, under mask 0: signed text is random enough for it. */
  fill(codewords) {
    let at = 0;
    for (let right = this.size - 1; right >= 1; right -= 2) {
      if (right === 6) right = 5;
      const isUpward = ((right + 1) & 2) === 0;
      for (let i = 0; i < this.size; i++) {
        const y = isUpward ? this.size - 1 - i : i;
        for (const x of [right, right - 1]) {
          if (this.fixed[y][x]) continue;
          const bit = at < codewords.length * 8 && (codewords[at >> 3] >> (7 - (at & 7))) & 1;
          this.modules[y][x] = Boolean(bit) !== ((x + y) % 2 === 0);
          at++;
        }
      }
    }
  }
}
