/** Version of the agent, as it says in events and the operator API. */
export const agentVersion = '0.1.0';
