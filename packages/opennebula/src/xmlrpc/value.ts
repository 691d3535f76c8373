/** What XML-RPC carries. Integers travel as i4 or i8, other numbers as double; there is no null, date or binary. */
export type XmlRpcValue = string | number | boolean | XmlRpcValue[] | { [name: string]: XmlRpcValue };

export interface XmlRpcCall {
  method: string;
  params: XmlRpcValue[];
}

/** A refusal below the level of the method: unknown method (-506), wrong types (-501), broken XML (-503), crash (-500). */
export interface XmlRpcFault {
  code: number;
  message: string;
}

export type XmlRpcResponse = { value: XmlRpcValue } | { fault: XmlRpcFault };
