import type { Link } from '../link/index.js';

const numbers = new WeakMap<Link, number>();
let nextNumber = 1;

/** A key for what a peer numbers on its link: what it says of itself is no part of it. */
export function keyOn(link: Link, ...parts: (number | string)[]): string {
  let number = numbers.get(link);
  if (number === undefined) {
    number = nextNumber++;
    numbers.set(link, number);
  }
  return [number, ...parts].join(' ');
}
