// The kinds of control messages, as src/link/messages.ts has them.
const LINK = ['hello', 'welcome', 'ready', 'rejected', 'open', 'accept', 'refuse', 'closed', 'forget', 'bye', 'tell'];
const GRANTS = ['map', 'mapped', 'unmapped', 'revoked', 'pass', 'released'];

export const KINDS = [...LINK, ...GRANTS];
