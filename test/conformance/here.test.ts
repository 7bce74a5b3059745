import { conformance } from './suite/index.js';

conformance('within one domain');
