/** The package ships no types; what we use of it. */
declare module "ml-regression" {
  export class MultivariateLinearRegression {
    /** n × d inputs and n × 1 outputs; the weights are one row per input, the intercept last. */
    constructor(x: number[][], y: number[][], options?: { intercept?: boolean; statistics?: boolean });
    readonly weights: number[][];
  }
  export class PolynomialRegression {
    constructor(x: number[], y: number[], degree: number);
    /** c0, c1, … */
    readonly coefficients: number[];
  }
}
