/** What a template holds once stored: texts, vectors of texts, and arrays where a name is repeated. */
export type AttributeValue = string | Attributes | AttributeValue[];
export interface Attributes {
  [name: string]: AttributeValue;
}

/** The text of an attribute; of the first one when the name is repeated; undefined for a vector or when absent. */
export function attributeText(attributes: Attributes, name: string): string | undefined {
  const value = attributeList(attributes, name)[0];
  return typeof value === 'string' ? value : undefined;
}

/** All vectors of that name, whether there is none, one or many. */
export function attributeVectors(attributes: Attributes, name: string): Attributes[] {
  return attributeList(attributes, name).filter(isVector);
}

function attributeList(attributes: Attributes, name: string): AttributeValue[] {
  const value = Object.hasOwn(attributes, name) ? attributes[name] : undefined;
  if (value === undefined) return [];
  return Array.isArray(value) ? value : [value];
}

function isVector(value: AttributeValue): value is Attributes {
  return typeof value === 'object' && !Array.isArray(value);
}
