import { arrayAt, isObject, type JsonObject } from '../json.ts';
import { parseTemplateText } from './template-text.ts';

/**
 * The 6.x shape in today's: `custom_attrs` become `user_inputs`, `vm_template` becomes `template_id` with type `vm`,
 * and the text of `vm_template_contents` an object. Only a template in which every role has an old key is touched;
 * new keys come last, as on the real server.
 */
export function convertOldFormat(body: JsonObject): JsonObject {
  const roles = arrayAt(body, 'roles');
  if (roles.length === 0 || !roles.every(role => isObject(role) && isOldRole(role))) return body;
  const converted: JsonObject = {};
  for (const [key, value] of Object.entries(body)) {
    if (key === 'roles') converted.roles = roles.filter(isObject).map(convertRole);
    else if (key !== 'custom_attrs' && key !== 'custom_attrs_values') converted[key] = value;
  }
  if (body.custom_attrs !== undefined) converted.user_inputs = body.custom_attrs;
  if (body.custom_attrs_values !== undefined) converted.user_inputs_values = body.custom_attrs_values;
  return converted;
}

function isOldRole(role: JsonObject): boolean {
  return role.vm_template !== undefined || role.vm_template_contents !== undefined;
}

function convertRole(role: JsonObject): JsonObject {
  const { vm_template: template, vm_template_contents: contents, custom_attrs: inputs, ...kept } = role;
  const converted: JsonObject = { ...kept };
  if (template !== undefined) converted.template_id = template;
  converted.type = 'vm';
  if (inputs !== undefined) converted.user_inputs = inputs;
  if (typeof contents === 'string') converted.template_contents = parseTemplateText(contents);
  return converted;
}
