import { conformance } from './suite/index.js';

conformance('between two processes');
