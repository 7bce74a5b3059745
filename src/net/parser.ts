import type { Duplex } from 'node:stream';
import { type HttpParser, internals, ownerOf, type StreamHandle, type TcpHandle } from './internals.js';
import { runTicks } from './scope.js';

const kParser = Symbol('shmloop parser');
/** As much as is delivered at once. */
const scratch = Buffer.allocUnsafeSlow(64 * 1024);

/** The parser's callbacks after which ticks run. */
const TICKING = ['kOnHeaders', 'kOnBody'] as const;
/** Stands for what was reported already. */
const thrown = new Error('reported');

interface ConsumedHandle extends StreamHandle {
  [kParser]?: object | undefined;
  /** Set by Node's HTTP server, which lets its parser read the handle. */
  _consumed?: boolean;
}

interface HttpSocket extends Duplex {
  parser?: HttpParser | null;
}

/** Notes which handles a parser reads directly, below JavaScript, where no switch can reach. */
export function hookParser(): void {
  const prototype = internals.HTTPParser?.prototype;
  if (prototype === undefined) return;
  const { consume, unconsume } = prototype;
  const handles = new WeakMap<object, ConsumedHandle>();
  prototype.consume = function (handle) {
    handles.set(this, handle);
    (handle as ConsumedHandle)[kParser] = this;
    return consume.call(this, handle);
  };
  prototype.unconsume = function () {
    const handle = handles.get(this);
    if (handle !== undefined) handle[kParser] = undefined;
    return unconsume.call(this);
  };
}

/** Whether a parser reads the handle and would not let go of it. */
export function isConsumed(tcp: TcpHandle): boolean {
  const parser = (tcp as ConsumedHandle)[kParser];
  return parser !== undefined && ownerOf<HttpSocket>(tcp)?.parser !== parser;
}

/**
 * Lets the parser of Node's HTTP server go on reading below JavaScript, where its callbacks and its errors are those
 * of TCP: from a stream that is fed with what arrives.
 */
export class ParserFeed {
  readonly #owner: HttpSocket;
  readonly #parser: HttpParser;
  readonly #stream = new internals.JSStream();

  /** @returns undefined where no parser reads the handle */
  static of(tcp: TcpHandle): ParserFeed | undefined {
    const owner = ownerOf<HttpSocket>(tcp);
    return owner?.parser && (tcp as ConsumedHandle)._consumed ? new ParserFeed(owner, owner.parser) : undefined;
  }

  private constructor(owner: HttpSocket, parser: HttpParser) {
    this.#owner = owner;
    this.#parser = parser;
    if (this.isWanted) this.#move(this.#stream);
  }

  /** Not since somebody else wants the data: Node's HTTP server takes the parser away then. */
  get isWanted(): boolean {
    return this.#owner.parser === this.#parser && this.#parser._consumed === true;
  }

  /** Memory for at most `length` bytes, which the parser copies. */
  room(length: number): Uint8Array {
    return scratch.subarray(0, length);
  }

  /**
   * Runs code of the application. Beneath JavaScript the parser's callbacks for pieces of a body, and for headers that
   * come in pieces, run no ticks after them, as they do when the event loop brings the data; its other ones do not
   * there either. What a tick throws is reported, and ends the parsing, as it does there.
   */
  feed(data: Uint8Array): void {
    const parser = this.#parser;
    const restore = TICKING.map((name) => runTicksAfter(parser, name));
    try {
      this.#stream.readBuffer(data);
    } catch (error) {
      if (error !== thrown) throw error;
    } finally {
      for (const undo of restore) undo?.();
    }
  }

  /** The parser reads the handle again. */
  giveBack(tcp: TcpHandle): void {
    if (this.isWanted) this.#move(tcp);
  }

  #move(to: StreamHandle): void {
    this.#parser.unconsume();
    this.#parser.consume(to);
  }
}

/** @returns what takes that back */
function runTicksAfter(parser: HttpParser, name: (typeof TICKING)[number]): (() => void) | undefined {
  const { [name]: number = -1 } = parser.constructor as unknown as Record<string, number | undefined>;
  const call = parser[number];
  if (call === undefined) return undefined;
  parser[number] = (...args) => {
    const result = call.apply(parser, args);
    if (!runTicks()) throw thrown;
    return result;
  };
  return () => {
    parser[number] = call;
  };
}
