import { arrayAt, deepMerge, isObject, type JsonObject, objectAt } from '../json.ts';
import { Refusal } from '../refusal.ts';

/**
 * Every declared input needs a value at instantiation, optional ones and those with a default too: the server
 * applies no default.
 *
 * @throws Refusal 400 with the server's sentence
 */
export function checkUserInputs(template: JsonObject, merge: JsonObject): void {
  checkValues(objectAt(template, 'user_inputs'), merge.user_inputs_values);
  const given = new Map(
    arrayAt(merge, 'roles')
      .filter(isObject)
      .map(role => [role.name, role]),
  );
  for (const role of arrayAt(template, 'roles').filter(isObject)) {
    checkValues(objectAt(role, 'user_inputs'), given.get(String(role.name))?.user_inputs_values);
  }
}

function checkValues(declared: JsonObject, values: JsonObject[string] | undefined): void {
  const names = Object.keys(declared);
  if (names.length === 0) return;
  if (!isObject(values)) {
    throw new Refusal(400, 'The Service template specifies User Inputs but no values have been found');
  }
  if (names.some(name => !Object.hasOwn(values, name))) {
    throw new Refusal(400, 'Verify that every User Input have its corresponding value defined');
  }
}

/**
 * Puts the values of user inputs into a role's template: as attributes, and as references to them in CONTEXT.
 * A value of the role beats the service's.
 */
export function fillInputs(role: JsonObject, serviceValues: JsonObject): void {
  const contents = objectAt(role, 'template_contents');
  const values = deepMerge(serviceValues, objectAt(role, 'user_inputs_values'));
  const names = Object.keys(values);
  if (names.length > 0) {
    const context = objectAt(contents, 'CONTEXT');
    for (const name of names) context[name] = `$${name}`;
    contents.CONTEXT = context;
    for (const name of names) contents[name] = values[name] ?? null;
  }
  role.template_contents = contents;
}
