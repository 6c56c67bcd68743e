// What every client is asked, and where.

export const baseURL = `${process.env.CRIA_URL}/v1`;
export const greeting = JSON.parse(process.env.CRIA_GREETING);
export const hi = [{ role: "user", content: "Hi" }];
export const maxTokens = greeting.completion_tokens;

// Ends the test that waits for what never comes.
export const patience = { timeout: 60_000 };
