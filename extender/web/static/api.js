// What the extender is asked. A newer question of a kind makes an older one moot.

const under = {};

/** Asks, and returns the answer; null if a newer question of the kind was asked meanwhile. */
export async function ask(kind, path, body) {
  under[kind]?.abort();
  const control = (under[kind] = new AbortController());
  try {
    for (let tries = 0; ; tries++) {
      const response = await fetch(`api/v1/${path}`, {
        method: body === undefined ? "GET" : "POST",
        body: body === undefined ? undefined : JSON.stringify(body),
        headers: body === undefined ? {} : { "Content-Type": "application/json" },
        signal: control.signal,
      });
      const answer = await response.json();
      if (response.ok) return answer;
      if (![429, 503].includes(response.status) || tries >= 20) throw new Error(answer.detail || response.statusText);
      await new Promise((resolve) => setTimeout(resolve, 300 + 200 * tries));
    }
  } catch (error) {
    if (control.signal.aborted) return null;
    throw error;
  }
}
